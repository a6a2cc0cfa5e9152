// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/key.h"

#include <algorithm>
#include <array>

namespace assay::crypto {
namespace {

struct NamedType {
  std::string_view name;
  KeyType type;
};
constexpr std::array<NamedType, 5> kTypes = {{
    {"ec-p256", KeyType::kEcP256},
    {"ec-p384", KeyType::kEcP384},
    {"rsa-2048", KeyType::kRsa2048},
    {"rsa-3072", KeyType::kRsa3072},
    {"rsa-4096", KeyType::kRsa4096},
}};

}  // namespace

absl::StatusOr<KeyType> ParseKeyType(std::string_view name) {
  for (const NamedType& named : kTypes) {
    if (named.name == name) {
      return named.type;
    }
  }
  return InvalidArgument("unknown key type {}: wanted ec-p256, ec-p384, rsa-2048 or rsa-4096",
                         Quoted(name));
}

std::string_view KeyTypeName(KeyType type) {
  return std::find_if(kTypes.begin(), kTypes.end(),
                      [type](const NamedType& named) { return named.type == type; })
      ->name;
}

absl::StatusOr<std::string> Sign(const Signer& signer, const SignatureScheme& scheme,
                                 std::string_view message) {
  return signer.SignDigest(scheme, Digest(scheme.hash, message));
}

}  // namespace assay::crypto
