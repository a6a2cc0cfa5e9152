// SPDX-License-Identifier: GPL-3.0-or-later
// X.509 extensions (RFC 5280 §4.2): the list, and the values of those that identity depends on.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "crypto/certificate.h"
#include "crypto/der_reader.h"

namespace assay::crypto {

constexpr std::string_view kOidSubjectKeyId = "2.5.29.14";
constexpr std::string_view kOidKeyUsage = "2.5.29.15";
constexpr std::string_view kOidSubjectAltName = "2.5.29.17";
constexpr std::string_view kOidBasicConstraints = "2.5.29.19";
constexpr std::string_view kOidNameConstraints = "2.5.29.30";
constexpr std::string_view kOidAuthorityKeyId = "2.5.29.35";
constexpr std::string_view kOidExtendedKeyUsage = "2.5.29.37";
// The attribute of a certification request that holds extensions (RFC 2985 §5.4.2).
constexpr std::string_view kOidExtensionRequest = "1.2.840.113549.1.9.14";

struct Extension {
  std::string oid;  // Dotted.
  bool critical = false;
  std::string value;  // DER.
};

struct AltNames {
  std::vector<std::string> uris, dns_names;
};

struct BasicConstraints {
  bool is_ca = false;
  std::optional<int> path_length;
};

// The content of Extensions, at least one of them; the same identifier twice is InvalidArgument.
absl::StatusOr<std::vector<Extension>> ParseExtensions(DerReader reader);
std::string WriteExtensions(const std::vector<Extension>& extensions);

// Values. Other names than URIs and DNS names are skipped; these two must be ASCII without NULs.
absl::StatusOr<AltNames> ParseAltNames(std::string_view value);
std::string WriteAltNames(const AltNames& names);
absl::StatusOr<BasicConstraints> ParseBasicConstraints(std::string_view value);
std::string WriteBasicConstraints(const BasicConstraints& constraints);
absl::StatusOr<std::vector<std::string>> ParseExtendedKeyUsage(std::string_view value);
absl::StatusOr<NameConstraints> ParseNameConstraints(std::string_view value);
absl::StatusOr<unsigned> ParseKeyUsage(std::string_view value);
absl::StatusOr<std::string> ParseSubjectKeyId(std::string_view value);
// Empty when the extension names the issuer in another way.
absl::StatusOr<std::string> ParseAuthorityKeyId(std::string_view value);

}  // namespace assay::crypto
