// SPDX-License-Identifier: GPL-3.0-or-later
// What a gRPC call ended with, as a status of this project: the same code and words, and why the
// upstream refused the agent, if it did, as a payload that RefusalOf reads.
#pragma once

#include <string_view>

#include "base/status.h"

namespace assay {

// details is a serialized google.rpc.Status, as grpc-status-details-bin carries it; what does not
// parse is left out.
absl::Status CallStatus(int code, std::string_view message, std::string_view details);

// The status with the mark that IsUntrusted looks for.
absl::Status MarkedUntrusted(absl::Status status);

}  // namespace assay
