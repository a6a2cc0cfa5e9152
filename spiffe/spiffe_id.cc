// SPDX-License-Identifier: GPL-3.0-or-later
#include "spiffe/spiffe_id.h"

#include <algorithm>

namespace assay {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr std::string_view kSegmentAlphabet =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

// The path is empty or a sequence of '/' and a segment.
absl::Status CheckPath(std::string_view path) {
  while (!path.empty()) {
    if (path.front() != '/') {
      return InvalidArgument("path does not start with '/'");
    }
    path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment.empty()) {
      return InvalidArgument("path has an empty segment or a trailing slash");
    }
    if (segment == "." || segment == "..") {
      return InvalidArgument("path has a dot segment");
    }
    if (segment.find_first_not_of(kSegmentAlphabet) != segment.npos) {
      return InvalidArgument("path segment {} has a byte that is none of a-z A-Z 0-9 . - _",
                             Quoted(segment));
    }
    path.remove_prefix(segment.size());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SpiffeId> SpiffeId::Parse(std::string_view id) {
  if (id.size() > kMaxBytes) {
    return InvalidArgument("spiffe id has {} bytes, at most {} are allowed", id.size(), kMaxBytes);
  }
  if (!id.starts_with(kScheme)) {
    return InvalidArgument("spiffe id {}: does not start with spiffe://", Quoted(id));
  }
  const std::string_view rest = id.substr(kScheme.size());
  const size_t name_size = std::min(rest.find('/'), rest.size());
  auto trust_domain = TrustDomain::Parse(rest.substr(0, name_size));
  if (!trust_domain.ok()) {
    return WithContext(trust_domain.status(), fmt::format("spiffe id {}", Quoted(id)));
  }
  return Create(*trust_domain, rest.substr(name_size));
}

absl::StatusOr<SpiffeId> SpiffeId::Create(const TrustDomain& trust_domain, std::string_view path) {
  const size_t size = kScheme.size() + trust_domain.name().size() + path.size();
  if (size > kMaxBytes) {
    return InvalidArgument("spiffe id has {} bytes, at most {} are allowed", size, kMaxBytes);
  }
  if (absl::Status bad = CheckPath(path); !bad.ok()) {
    return WithContext(
        bad, fmt::format("spiffe id {}", Quoted(trust_domain.IdString() + std::string(path))));
  }
  return SpiffeId(trust_domain, path);
}

}  // namespace assay
