// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes as requests of SDS, in both forms: who asks and what for is understood or refused, and
// never more is kept than a stream may have.
#include <google/protobuf/stubs/logging.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "envoy/service/discovery/v3/discovery.pb.h"
#include "workload-api/sds_request_check.h"
#include "workload-api/sds_subscription.h"

namespace {

void Check(const assay::SdsSubscription& subscription) {
  size_t bytes = 0;
  for (const std::string& name : subscription.names()) {
    bytes += name.size();
  }
  if (subscription.names().size() > assay::SdsSubscription::kMaxNames ||
      bytes > assay::SdsSubscription::kMaxNameBytes || subscription.names().contains("")) {
    std::abort();
  }
}

// It may be too large, but what parses is a message.
void ExpectNoMessageToBeCalledMalformed(const absl::Status& checked) {
  if (absl::IsInternal(checked)) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // It would write a line for each input that does not parse.
  google::protobuf::SetLogHandler(nullptr);
  namespace discovery = envoy::service::discovery::v3;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const absl::Status as_whole = assay::CheckSdsRequest(bytes, assay::kWholeForm);
  const absl::Status as_delta = assay::CheckSdsRequest(bytes, assay::kDeltaForm);
  discovery::DiscoveryRequest whole;
  if (whole.ParseFromArray(data, static_cast<int>(size))) {
    ExpectNoMessageToBeCalledMalformed(as_whole);
    assay::SdsSubscription subscription;
    (void)assay::SdsSubscription::CheckType(whole.type_url());
    (void)assay::ValidationFor(whole.node(), /*disabled=*/false);
    (void)subscription.Replace(whole.resource_names());
    Check(subscription);
  }
  discovery::DeltaDiscoveryRequest delta;
  if (delta.ParseFromArray(data, static_cast<int>(size))) {
    ExpectNoMessageToBeCalledMalformed(as_delta);
    assay::SdsSubscription subscription;
    for (int i = 0; i < 2; ++i) {
      (void)subscription.Change(delta.resource_names_subscribe(),
                                delta.resource_names_unsubscribe());
      Check(subscription);
    }
    (void)assay::ValidationFor(delta.node(), /*disabled=*/true);
  }
  return 0;
}
