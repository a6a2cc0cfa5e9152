// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/call_status.h"

#include <absl/strings/cord.h>

#include <optional>
#include <string>

#include "google/rpc/status.pb.h"
#include "spire/api/types/status.pb.h"
#include "upstream/upstream.h"

namespace assay {
namespace {

// All that an attestation says to a banned agent; the other calls have the detail.
constexpr std::string_view kBannedAtAttestation = "failed to attest: agent is banned";
constexpr char kUntrustedType[] = "assay/untrusted-upstream";
constexpr char kRefusalType[] = "type.googleapis.com/spire.api.types.PermissionDeniedDetails";

using spire::api::types::PermissionDeniedDetails;

}  // namespace

absl::Status CallStatus(int code, std::string_view message, std::string_view details) {
  if (code == 0) {
    return absl::OkStatus();
  }
  const bool known = code > 0 && code <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  absl::Status status =
      MakeStatus(known ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown, message);
  if (status.code() != absl::StatusCode::kPermissionDenied) {
    return status;
  }
  if (message == kBannedAtAttestation) {
    PermissionDeniedDetails banned;
    banned.set_reason(PermissionDeniedDetails::AGENT_BANNED);
    status.SetPayload(kRefusalType, absl::Cord(banned.SerializeAsString()));
    return status;
  }
  google::rpc::Status rich;
  if (!rich.ParseFromArray(details.data(), static_cast<int>(details.size()))) {
    return status;
  }
  for (const google::protobuf::Any& detail : rich.details()) {
    if (detail.type_url() == kRefusalType) {
      status.SetPayload(kRefusalType, absl::Cord(detail.value()));
    }
  }
  return status;
}

absl::Status MarkedUntrusted(absl::Status status) {
  status.SetPayload(kUntrustedType, absl::Cord());
  return status;
}

bool IsUntrusted(const absl::Status& status) {
  return status.GetPayload(kUntrustedType).has_value();
}

Refusal RefusalOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kRefusalType);
  PermissionDeniedDetails details;
  if (status.code() != absl::StatusCode::kPermissionDenied || !payload.has_value() ||
      !details.ParseFromString(std::string(*payload))) {
    return Refusal::kNone;
  }
  switch (details.reason()) {
    case PermissionDeniedDetails::AGENT_EXPIRED:
      return Refusal::kExpired;
    case PermissionDeniedDetails::AGENT_NOT_ATTESTED:
      return Refusal::kNotAttested;
    case PermissionDeniedDetails::AGENT_NOT_ACTIVE:
      return Refusal::kNotActive;
    case PermissionDeniedDetails::AGENT_BANNED:
      return Refusal::kBanned;
    case PermissionDeniedDetails::AGENT_MUST_REATTEST:
      return Refusal::kMustReattest;
    default:
      return Refusal::kNone;
  }
}

}  // namespace assay
