// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/grpc_text.h"

#include <fmt/format.h>

#include <array>

namespace assay {

std::string GrpcCodeName(int code) {
  constexpr std::array<std::string_view, 17> kNames = {
      "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
      "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
      "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
      "DataLoss", "Unauthenticated"};
  if (code < 0 || static_cast<size_t>(code) >= kNames.size()) {
    return fmt::format("Code({})", code);
  }
  return std::string(kNames[static_cast<size_t>(code)]);
}

std::string GrpcText(int code, std::string_view description) {
  return fmt::format("rpc error: code = {} desc = {}", GrpcCodeName(code), description);
}

}  // namespace assay
