// SPDX-License-Identifier: GPL-3.0-or-later
// Errors of this machine during node attestation, told so that none is taken for the upstream's.
#pragma once

#include "base/status.h"

namespace assay {

// PermissionDenied, of a file or a password, would mean that the upstream refuses the node: it
// becomes FailedPrecondition.
inline absl::Status ForOperator(const absl::Status& status) {
  return absl::IsPermissionDenied(status) ? FailedPrecondition("{}", Message(status)) : status;
}

}  // namespace assay
