// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/entry_intake.h"

#include <utility>

#include "base/log.h"
#include "upstream/answers.h"

namespace assay {
namespace {

// Several times what a node has; more is no upstream that means well.
constexpr size_t kMaxBytes = 512 << 20;
constexpr size_t kMaxTold = 1000;
constexpr size_t kMaxToldBytes = 256;

}  // namespace

bool ToldEntries::Add(const std::string& id, std::string_view what) {
  const std::string key = fmt::format("{} {}", id.substr(0, kMaxToldBytes), what);
  MutexLock lock(mutex_);
  return told_.size() < kMaxTold && told_.insert(key.substr(0, 2 * kMaxToldBytes)).second;
}

EntryIntake::EntryIntake(const TrustDomain& trust_domain, EntrySink& sink, ToldEntries& told,
                         size_t max_items)
    : trust_domain_(trust_domain), sink_(sink), told_(told), max_items_(max_items) {}

absl::Status EntryIntake::Count(size_t items, size_t bytes) {
  items_ += items;
  bytes_ += bytes;
  if (items_ > max_items_ || bytes_ > kMaxBytes) {
    return Internal("sync: the upstream sent more than {} entries and revisions, or {} bytes",
                    max_items_, kMaxBytes);
  }
  return absl::OkStatus();
}

void EntryIntake::LeaveOut(const std::string& id, std::string_view what) {
  log::Write(told_.Add(id, what) ? log::Level::kWarn : log::Level::kDebug,
             "Left out an entry of the upstream", {{"entry_id", id}, {"error", what}});
}

bool EntryIntake::IsSound(const spire::api::server::entry::v1::EntryRevision& revision) {
  if (revision.id().empty() || revision.revision_number() < 0) {
    LeaveOut(revision.id(), fmt::format("revision {} of it", revision.revision_number()));
    return false;
  }
  return true;
}

void EntryIntake::Expect(std::unordered_set<std::string> ids) {
  by_id_ = true;
  ids_ = std::move(ids);
}

void EntryIntake::Take(
    const google::protobuf::RepeatedPtrField<spire::api::types::Entry>& entries) {
  for (const spire::api::types::Entry& message : entries) {
    auto entry = EntryOf(message, trust_domain_);
    if (!entry.ok()) {
      LeaveOut(message.id(), Message(entry.status()));
    } else if (by_id_ ? ids_.erase(entry->id) == 0 : !ids_.insert(entry->id).second) {
      LeaveOut(message.id(), by_id_ ? "it came unasked, or twice" : "it came twice");
    } else {
      sink_.OnEntry(*std::move(entry));
    }
  }
}

}  // namespace assay
