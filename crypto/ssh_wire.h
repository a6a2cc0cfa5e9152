// SPDX-License-Identifier: GPL-3.0-or-later
// The data types of SSH (RFC 4251 §5), read from foreign bytes and written. Everything read points
// into the bytes given.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace assay::crypto {

class SshReader final {
 public:
  explicit SshReader(std::string_view bytes) : rest_(bytes) {}

  bool AtEnd() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  // Each names what it wanted in its error, InvalidArgument.
  absl::StatusOr<uint32_t> ReadUint32(std::string_view what);
  absl::StatusOr<uint64_t> ReadUint64(std::string_view what);
  absl::StatusOr<std::string_view> ReadString(std::string_view what);
  // The big-endian bytes of an mpint in its shortest form that is not negative, without a zero
  // before them; empty for zero.
  absl::StatusOr<std::string_view> ReadUnsigned(std::string_view what);
  // InvalidArgument when bytes are left.
  absl::Status End(std::string_view what) const;

 private:
  absl::StatusOr<std::string_view> Take(size_t size, std::string_view what);

  std::string_view rest_;
};

// The key or certificate of a line as in *.pub files and authorized_keys: its type, base64 of its
// blob, and a comment, with blanks between. Of several lines the first counts that is neither empty
// nor a comment ("#"). InvalidArgument when there is none such.
struct SshLine {
  std::string type, blob;
};
absl::StatusOr<SshLine> ParseSshLine(std::string_view text);

std::string SshString(std::string_view bytes);
// An mpint of big-endian bytes; zeros before them do not matter.
std::string SshUnsigned(std::string_view bytes);

}  // namespace assay::crypto
