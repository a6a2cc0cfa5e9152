// SPDX-License-Identifier: GPL-3.0-or-later
// The server's side of tpm_devid node attestation: a node shows a DevID certificate, and proves
// that the certificate's key lives in the very TPM that its manufacturer's endorsement certificate
// is for. Pure functions; every failure is InvalidArgument, as the reference server has it, except
// Internal when no challenge can be made.
#pragma once

#include <absl/time/time.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "base/status.h"
#include "crypto/certificate.h"

namespace assay::tpm {

// One attestation between its challenge and its answer.
struct DevIdSession {
  // For the node: {"DevID": nonce, "CredActivation": {"Credential": .., "Secret": ..}}.
  std::string challenge;

  // What the answer is judged by.
  crypto::Certificate devid;
  std::string nonce;
  Secret credential;

  // Of type tpm_devid: what the node is, once CheckResponse says OK.
  std::vector<std::string> selectors;
};

// Checks everything about the payload that can be checked without asking back: the DevID
// certificate's path to devid_cas; the endorsement certificate's to endorsement_cas, directly; that
// it is for the endorsement key; that the keys are of their templates; that the attestation key
// certified the DevID key; and that this is the certificate's key.
absl::StatusOr<DevIdSession> BeginVerification(
    std::string_view payload, const std::vector<crypto::Certificate>& devid_cas,
    const std::vector<crypto::Certificate>& endorsement_cas, absl::Time now);

// OK when the response proves possession of the DevID key, and that the attestation key is in the
// TPM of the endorsement key.
absl::Status CheckResponse(const DevIdSession& session, std::string_view response);

}  // namespace assay::tpm
