// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/status.h"

#include <cerrno>
#include <cstring>

namespace assay {
namespace {

constexpr size_t kMaxQuotedBytes = 256;

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
      return absl::StatusCode::kNotFound;
    case EACCES:
    case EPERM:
      return absl::StatusCode::kPermissionDenied;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC:
      return absl::StatusCode::kResourceExhausted;
    case EINVAL:
      return absl::StatusCode::kInvalidArgument;
    default:
      return absl::StatusCode::kUnavailable;
  }
}

}  // namespace

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text.substr(0, kMaxQuotedBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20 || byte > 0x7e) {
      quoted += fmt::format("\\x{:02x}", byte);
    } else {
      quoted += c;
    }
  }
  quoted += text.size() > kMaxQuotedBytes ? "...\"" : "\"";
  return quoted;
}

absl::Status MakeStatus(absl::StatusCode code, std::string_view message) {
  return {code, {message.data(), message.size()}};
}

absl::Status WithContext(const absl::Status& status, std::string_view context) {
  if (status.ok()) {
    return status;
  }
  return MakeStatus(status.code(), fmt::format("{}: {}", context, Message(status)));
}

absl::Status ErrnoStatus(int error, std::string_view what) {
  return MakeStatus(CodeOf(error), fmt::format("{}: {}", what, std::strerror(error)));
}

}  // namespace assay
