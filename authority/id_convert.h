// SPDX-License-Identifier: GPL-3.0-or-later
// SPIFFE IDs, selectors and statuses between the server API's messages and ours, and errors in the
// words that SPIRE's agent and tools know: "what failed: why".
#pragma once

#include <absl/status/status.h>

#include <string_view>
#include <vector>

#include "base/status.h"
#include "spiffe/selector.h"
#include "spiffe/spiffe_id.h"
#include "spiffe/trust_domain.h"

namespace google::protobuf {
template <typename T>
class RepeatedPtrField;
}
namespace spire::api::types {
class Selector;
class SPIFFEID;
class Status;
}  // namespace spire::api::types

namespace assay {

// The status of a failed step: this code, and "what: message of why".
absl::Status ApiError(absl::StatusCode code, std::string_view what, const absl::Status& why);
// The outcome of one item of a batch; OK has the message "OK".
void ToProto(const absl::Status& status, spire::api::types::Status* out);

// An ID as sent, or InvalidArgument; a message that is absent is empty and so refused.
absl::StatusOr<SpiffeId> ParseId(const spire::api::types::SPIFFEID& id);
// The same, and of this trust domain with a path; under /spire/agent/; or not under /spire.
absl::StatusOr<SpiffeId> ParseMemberId(const TrustDomain& trust_domain,
                                       const spire::api::types::SPIFFEID& id);
absl::StatusOr<SpiffeId> ParseAgentId(const TrustDomain& trust_domain,
                                      const spire::api::types::SPIFFEID& id);
absl::StatusOr<SpiffeId> ParseWorkloadId(const TrustDomain& trust_domain,
                                         const spire::api::types::SPIFFEID& id);
// OK when the ID may be a workload's in this trust domain.
absl::Status CheckWorkloadId(const TrustDomain& trust_domain, const SpiffeId& id);
// A trust domain by its name or its SPIFFE ID, as operators write either.
absl::StatusOr<TrustDomain> ParseTrustDomain(std::string_view text);
void ToProto(const SpiffeId& id, spire::api::types::SPIFFEID* out);

using ProtoSelectors = google::protobuf::RepeatedPtrField<spire::api::types::Selector>;
// Normalized; InvalidArgument when one has no type, a colon in it, or no value.
absl::StatusOr<std::vector<Selector>> ParseSelectors(const ProtoSelectors& selectors);
void ToProto(const std::vector<Selector>& selectors, ProtoSelectors* out);

}  // namespace assay
