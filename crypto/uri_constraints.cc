// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/uri_constraints.h"

#include <algorithm>
#include <string>

namespace assay::crypto {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

// The host in lower case; empty when there is none, or an address instead of a name.
std::string HostOf(std::string_view uri) {
  const size_t scheme_end = uri.find("://");
  if (scheme_end == uri.npos) {
    return "";
  }
  std::string_view host = uri.substr(scheme_end + 3);
  host = host.substr(0, host.find_first_of("/?#"));
  if (const size_t at = host.rfind('@'); at != host.npos) {
    host.remove_prefix(at + 1);
  }
  if (host.starts_with('[')) {
    return "";
  }
  host = host.substr(0, host.find(':'));
  return host.find_first_not_of("0123456789.") == host.npos ? "" : Lower(host);
}

bool Matches(std::string_view host, std::string_view constraint) {
  const std::string wanted = Lower(constraint);
  if (!wanted.starts_with('.')) {
    return wanted.empty() || host == wanted;
  }
  return host.size() > wanted.size() && host.ends_with(wanted);
}

}  // namespace

absl::Status CheckUri(std::string_view uri, const NameConstraints& constraints) {
  if (constraints.permitted_uris.empty() && constraints.excluded_uris.empty()) {
    return absl::OkStatus();
  }
  const std::string host = HostOf(uri);
  if (host.empty()) {
    return PermissionDenied("x509: URI {} has no host name to hold against name constraints",
                            Quoted(uri));
  }
  const auto matches = [&host](const std::string& constraint) { return Matches(host, constraint); };
  const auto any = [&matches](const std::vector<std::string>& list) {
    return std::any_of(list.begin(), list.end(), matches);
  };
  if (any(constraints.excluded_uris)) {
    return PermissionDenied("x509: URI {} is excluded by name constraints", Quoted(uri));
  }
  if (!constraints.permitted_uris.empty() && !any(constraints.permitted_uris)) {
    return PermissionDenied("x509: URI {} is not permitted by name constraints", Quoted(uri));
  }
  return absl::OkStatus();
}

}  // namespace assay::crypto
