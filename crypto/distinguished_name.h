// SPDX-License-Identifier: GPL-3.0-or-later
// Names of X.509 subjects and issuers (RFC 5280 §4.1.2.4), from DER to text and back.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace assay::crypto {

// A distinguished name as attributes in order; the types known are C, O, OU, CN, SERIALNUMBER, L,
// ST, STREET and POSTALCODE. Values are UTF-8.
using DistinguishedName = std::vector<std::pair<std::string, std::string>>;

// One attribute as it stands in DER.
struct NameAttribute {
  std::string oid;
  std::string text;       // UTF-8; empty when the value is of a type that is no text.
  std::string value_der;  // Of the value alone.
  bool joins_previous;    // Part of the same relative name as the attribute before.
};

// From the DER of the whole Name; text that is not of its type's alphabet is InvalidArgument.
absl::StatusOr<std::vector<NameAttribute>> ParseName(std::string_view der);
// Attributes of unknown types are left out.
DistinguishedName ToDistinguishedName(const std::vector<NameAttribute>& attributes);
// The last common name, empty when there is none.
std::string CommonNameOf(const std::vector<NameAttribute>& attributes);
// RFC 4514: last attribute first, special characters escaped, unknown types as OID=#hex.
std::string NameText(const std::vector<NameAttribute>& attributes);

// DER; a type that is not known or a value that is not UTF-8 is InvalidArgument.
absl::StatusOr<std::string> WriteName(const DistinguishedName& name);

}  // namespace assay::crypto
