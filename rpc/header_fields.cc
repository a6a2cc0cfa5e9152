// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/header_fields.h"

namespace assay::rpc {
namespace {

constexpr size_t kTypicalBytes = 320;

// Walks the runs; calls back with each name and value until it returns true.
template <typename Visit>
void ForEach(std::string_view bytes, Visit visit) {
  while (!bytes.empty()) {
    const std::string_view name = bytes.substr(0, bytes.find('\0'));
    bytes.remove_prefix(name.size() + 1);
    const std::string_view value = bytes.substr(0, bytes.find('\0'));
    bytes.remove_prefix(value.size() + 1);
    if (visit(name, value)) {
      return;
    }
  }
}

nghttp2_nv Field(std::string_view name, std::string_view value, uint8_t flags) {
  return {.name = reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          .value = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())),
          .namelen = name.size(),
          .valuelen = value.size(),
          .flags = flags};
}

}  // namespace

void HeaderFields::Add(std::string_view name, std::string_view value) {
  if (bytes_.empty()) {
    bytes_.reserve(kTypicalBytes);
  }
  bytes_ += name;
  bytes_ += '\0';
  bytes_ += value;
  bytes_ += '\0';
}

std::string_view HeaderFields::First(std::string_view wanted) const {
  std::string_view found;
  ForEach(bytes_, [&](std::string_view name, std::string_view value) {
    found = name == wanted ? value : std::string_view();
    return name == wanted;
  });
  return found;
}

std::vector<std::string_view> HeaderFields::All(std::string_view wanted) const {
  std::vector<std::string_view> found;
  ForEach(bytes_, [&](std::string_view name, std::string_view value) {
    if (name == wanted) {
      found.push_back(value);
    }
    return false;
  });
  return found;
}

nghttp2_nv ConstantField(std::string_view name, std::string_view value) {
  return Field(name, value, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE);
}

nghttp2_nv CopiedField(std::string_view name, std::string_view value) {
  return Field(name, value, NGHTTP2_NV_FLAG_NO_COPY_NAME);
}

}  // namespace assay::rpc
