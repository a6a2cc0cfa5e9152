// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/serve_counts.h"

#include <algorithm>

#include "assay/roles.pb.h"

namespace assay {
namespace {

constexpr std::string_view kFetchX509Svid = "/SpiffeWorkloadAPI/FetchX509SVID";

// "/package.Service/Method"
std::string_view ServiceOf(std::string_view method) {
  return method.substr(1, method.rfind('/') - 1);
}

// The codes of gRPC, whatever was told.
int CodeOf(absl::StatusCode code) {
  const int number = static_cast<int>(code);
  return number >= 0 && number <= static_cast<int>(absl::StatusCode::kUnauthenticated)
             ? number
             : static_cast<int>(absl::StatusCode::kUnknown);
}

}  // namespace

void ServeCounts::OnCallBegin(std::string_view method) {
  auto at = services_.find(ServiceOf(method));
  if (at == services_.end()) {
    at = services_.emplace(ServiceOf(method), Service()).first;
  }
  ++at->second.calls;
  ++at->second.open_calls;
}

void ServeCounts::OnFirstMessage(std::string_view method, absl::Duration elapsed) {
  if (method != kFetchX509Svid) {
    return;
  }
  const auto bound = std::lower_bound(kFirstSvidBounds.begin(), kFirstSvidBounds.end(),
                                      absl::ToDoubleSeconds(elapsed));
  ++first_svids_[static_cast<size_t>(bound - kFirstSvidBounds.begin())];
  first_svid_time_ += elapsed;
}

void ServeCounts::OnCallEnd(std::string_view method, absl::StatusCode code,
                            absl::Duration elapsed) {
  if (const auto service = services_.find(ServiceOf(method)); service != services_.end()) {
    --service->second.open_calls;
  }
  const std::pair<int, std::string_view> key(CodeOf(code), method);
  auto at = calls_.find(key);
  if (at == calls_.end()) {
    at = calls_.emplace(std::pair(key.first, std::string(method)), Count()).first;
  }
  ++at->second.count;
  at->second.elapsed += elapsed;
}

void ServeCounts::NoteAttestation(absl::StatusCode code, absl::Duration elapsed, size_t selectors) {
  Count& count = attestations_[CodeOf(code)];
  ++count.count;
  count.elapsed += elapsed;
  count.selectors += selectors;
}

void ServeCounts::FillIn(roles::Report& report) const {
  for (const auto& [key, count] : calls_) {
    roles::Report::Calls& calls = *report.add_calls();
    calls.set_code(key.first);
    calls.set_method(key.second);
    calls.set_count(count.count);
    calls.set_elapsed_ms(absl::ToDoubleMilliseconds(count.elapsed));
  }
  for (const auto& [code, count] : attestations_) {
    roles::Report::Attestations& attestations = *report.add_attestations();
    attestations.set_code(code);
    attestations.set_count(count.count);
    attestations.set_elapsed_ms(absl::ToDoubleMilliseconds(count.elapsed));
    attestations.set_selectors(count.selectors);
  }
  for (const auto& [name, service] : services_) {
    roles::Report::Service& told = *report.add_services();
    told.set_name(name);
    told.set_calls(service.calls);
    told.set_open_calls(service.open_calls);
  }
  report.set_connections(connections_);
  report.set_refused_connections(refused_connections_);
  report.mutable_first_svid_counts()->Add(first_svids_.begin(), first_svids_.end());
  report.set_first_svid_seconds(absl::ToDoubleSeconds(first_svid_time_));
}

}  // namespace assay
