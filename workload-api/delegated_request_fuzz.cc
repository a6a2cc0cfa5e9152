// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes as requests of the Delegated Identity API: for whom they ask is understood or refused,
// and is never more than is charged for it.
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "spire/api/agent/delegatedidentity/v1/delegatedidentity.pb.h"
#include "workload-api/delegated_request.h"

namespace {

void Check(const absl::StatusOr<assay::DelegatedSubject>& subject) {
  if (!subject.ok()) {
    return;
  }
  size_t bytes = 0;
  for (const assay::Selector& selector : subject->selectors) {
    bytes += sizeof(selector) + selector.type.size() + selector.value.size();
  }
  if (subject->selectors.empty() == (subject->pid == 0) || bytes > subject->bytes ||
      bytes > assay::DelegatedSubject::kMostBytes ||
      subject->selectors.size() > assay::DelegatedSubject::kMostSelectors ||
      !std::is_sorted(subject->selectors.begin(), subject->selectors.end())) {
    std::abort();
  }
}

template <typename Request>
void Take(const uint8_t* data, size_t size) {
  Request request;
  if (request.ParseFromArray(data, static_cast<int>(size))) {
    Check(assay::DelegatedSubject::Of(*request.mutable_selectors(), request.pid()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // It would write a line for each input that does not parse.
  google::protobuf::SetLogHandler(nullptr);
  namespace v1 = spire::api::agent::delegatedidentity::v1;
  Take<v1::SubscribeToX509SVIDsRequest>(data, size);
  Take<v1::FetchJWTSVIDsRequest>(data, size);
  return 0;
}
