// SPDX-License-Identifier: GPL-3.0-or-later
// Whether a request is well-formed HTTP/2: its fields and their order (RFC 9113 8.2, 8.3), and the
// length that it says it has (8.1.1). It takes the place of nghttp2's own check, for which no
// :authority has a slash: clients of gRPC for Java have the path of a Unix socket there. Values may
// begin and end with spaces, which gRPC allows; who serves looks at the method and path further.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace assay::rpc {

// Each call is false when the request is malformed: its stream is to be reset with PROTOCOL_ERROR.
class RequestCheck final {
 public:
  bool OnField(std::string_view name, std::string_view value);
  // The headers are whole. Fields that follow are trailers.
  bool OnHeadersEnd();
  // So many bytes of the content.
  bool OnData(size_t bytes);
  // The request is whole.
  bool OnEnd() const;

 private:
  bool OnPseudoField(std::string_view name, std::string_view value);

  uint8_t seen_ = 0;  // A bit for each pseudo-field.
  bool had_field_ = false;
  bool in_trailers_ = false;
  std::optional<uint64_t> length_;  // As content-length has it.
  uint64_t arrived_ = 0;
};

}  // namespace assay::rpc
