// SPDX-License-Identifier: GPL-3.0-or-later
// A request's headers in one allocation, and the fields of answers as nghttp2 takes them.
#pragma once

#include <nghttp2/nghttp2.h>

#include <string>
#include <string_view>
#include <vector>

namespace assay::rpc {

// Names are lower case, as on the wire. What it returns is valid until the next Add().
class HeaderFields {
 public:
  void Add(std::string_view name, std::string_view value);
  // Empty when there is none.
  std::string_view First(std::string_view name) const;
  std::vector<std::string_view> All(std::string_view name) const;

 private:
  // Runs of name, NUL, value, NUL: HTTP/2 allows NUL in neither.
  std::string bytes_;
};

// A field whose bytes outlive the session.
nghttp2_nv ConstantField(std::string_view name, std::string_view value);
// A field whose name outlives the session; the value is copied.
nghttp2_nv CopiedField(std::string_view name, std::string_view value);

}  // namespace assay::rpc
