// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/request_check.h"

#include <absl/strings/ascii.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace assay::rpc {
namespace {

const uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

bool IsName(std::string_view name) {
  return nghttp2_check_header_name(Bytes(name), name.size()) != 0;
}

// Without control characters, and so without NUL, which HeaderFields relies on.
bool IsValue(std::string_view value) {
  return nghttp2_check_header_value(Bytes(value), value.size()) != 0;
}

bool IsMethod(std::string_view method) {
  return nghttp2_check_method(Bytes(method), method.size()) != 0;
}

bool IsPath(std::string_view path) {
  return !path.empty() && nghttp2_check_path(Bytes(path), path.size()) != 0;
}

// RFC 3986 3.1.
bool IsScheme(std::string_view scheme) {
  return !scheme.empty() && absl::ascii_isalpha(static_cast<unsigned char>(scheme.front())) &&
         std::all_of(scheme.begin(), scheme.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '+' || c == '-' || c == '.';
         });
}

bool IsTrailers(std::string_view value) {
  constexpr std::string_view kTrailers = "trailers";
  return std::equal(value.begin(), value.end(), kTrailers.begin(), kTrailers.end(),
                    [](unsigned char a, char b) { return absl::ascii_tolower(a) == b; });
}

// Fields of HTTP/1.1's connections.
bool IsOfConnection(std::string_view name, std::string_view value) {
  constexpr std::array<std::string_view, 5> kNames = {
      "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         (name == "te" && !IsTrailers(value));
}

std::optional<uint64_t> ParseLength(std::string_view text) {
  uint64_t length = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, length);
  return error == std::errc() && stop == end ? std::optional(length) : std::nullopt;
}

struct PseudoField {
  std::string_view name;
  uint8_t bit;
  bool (*is_valid)(std::string_view value);
};
constexpr std::array<PseudoField, 4> kPseudoFields = {{{":method", 1, IsMethod},
                                                       {":scheme", 2, IsScheme},
                                                       {":path", 4, IsPath},
                                                       {":authority", 8, IsValue}}};
constexpr uint8_t kNeeded = 1 | 2 | 4;

}  // namespace

bool RequestCheck::OnField(std::string_view name, std::string_view value) {
  if (name.starts_with(':')) {
    return OnPseudoField(name, value);
  }
  had_field_ = true;
  if (!IsName(name) || !IsValue(value) || IsOfConnection(name, value)) {
    return false;
  }
  if (name == "content-length" && !in_trailers_) {
    const bool is_first = !length_.has_value();
    length_ = ParseLength(value);
    return is_first && length_.has_value();
  }
  return true;
}

// Each once, and before all other fields.
bool RequestCheck::OnPseudoField(std::string_view name, std::string_view value) {
  const auto* const field = std::find_if(kPseudoFields.begin(), kPseudoFields.end(),
                                         [name](const auto& known) { return known.name == name; });
  if (field == kPseudoFields.end() || had_field_ || in_trailers_ || (seen_ & field->bit) != 0) {
    return false;
  }
  seen_ |= field->bit;
  return field->is_valid(value);
}

bool RequestCheck::OnHeadersEnd() {
  in_trailers_ = true;
  return (seen_ & kNeeded) == kNeeded;
}

bool RequestCheck::OnData(size_t bytes) {
  arrived_ += bytes;
  return !length_.has_value() || arrived_ <= *length_;
}

bool RequestCheck::OnEnd() const { return !length_.has_value() || arrived_ == *length_; }

}  // namespace assay::rpc
