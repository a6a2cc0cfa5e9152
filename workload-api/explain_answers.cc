// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/explain_answers.h"

#include <map>
#include <string>
#include <string_view>

#include "assay/agent/v1/explain.pb.h"
#include "base/printable.h"
#include "base/utf8.h"

namespace assay {
namespace {

std::string Told(std::string_view text) {
  return IsUtf8(text) ? std::string(text) : Printable(text);
}

void FillEntry(const FoundEntry& found, agent::v1::Entry& entry) {
  entry.set_id(Told(found.id));
  entry.set_spiffe_id(Told(found.spiffe_id));
  entry.set_hint(Told(found.hint));
  entry.set_store_svid(found.store_svid);
  entry.set_has_svid(found.has_svid);
  entry.set_selectors_count(static_cast<uint32_t>(found.selectors));
  for (const std::string& selector : found.missing) {
    entry.add_missing(Told(selector));
  }
  entry.set_missing_count(static_cast<uint32_t>(found.missing_count));
}

}  // namespace

void FillAttestors(const AttestorRuns& runs, const std::vector<Selector>& selectors,
                   agent::v1::Explanation& explanation) {
  std::map<std::string_view, agent::v1::Attestor*> by_name;
  for (const AttestorRun& run : runs) {
    agent::v1::Attestor& attestor = *explanation.add_attestors();
    attestor.set_name(Told(run.name));
    attestor.set_microseconds(absl::ToInt64Microseconds(run.took));
    attestor.set_error(Told(run.error));
    by_name.try_emplace(run.name, &attestor);
  }
  for (const Selector& selector : selectors) {
    agent::v1::Attestor*& attestor = by_name[selector.type];
    if (attestor == nullptr) {
      attestor = explanation.add_attestors();
      attestor->set_name(Told(selector.type));
    }
    attestor->add_selectors(Told(selector.ToString()));
  }
}

void FillEntries(const FoundEntries& found, size_t entries_count,
                 agent::v1::Explanation& explanation) {
  explanation.set_entries_count(entries_count);
  for (const FoundEntry& entry : found.matched) {
    FillEntry(entry, *explanation.add_matched());
  }
  explanation.set_matched_count(found.matched_count);
  for (const FoundEntry& entry : found.nearest) {
    FillEntry(entry, *explanation.add_nearest());
  }
}

void FillRefusal(const Refusal& refusal, agent::v1::Refusal& told) {
  told.set_reason(refusal.reason);
  told.set_error(Told(refusal.error));
  told.set_pid(refusal.pid);
  told.set_uid(refusal.uid);
  told.set_gid(refusal.gid);
  told.set_service(refusal.service);
  told.set_method(refusal.method);
  told.set_asked_for(Told(refusal.asked_for));
  told.set_first_at(absl::ToUnixSeconds(refusal.first_at));
  told.set_last_at(absl::ToUnixSeconds(refusal.last_at));
  told.set_count(refusal.count);
  if (!refusal.attested) {
    told.mutable_explanation()->set_error(Told(refusal.error));
  }
  FillAttestors(refusal.runs, refusal.selectors, *told.mutable_explanation());
}

}  // namespace assay
