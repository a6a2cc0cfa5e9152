// SPDX-License-Identifier: GPL-3.0-or-later
// Foreign bytes as a JWS and as a JWK set: none may crash, and none may verify.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "crypto/jws.h"

namespace assay::crypto {
namespace {

const PublicKey& SomeKey() {
  static const PublicKey key = PrivateKey::Generate(KeyType::kEcP256).value()->public_key();
  return key;
}

void Try(std::string_view bytes) {
  const absl::StatusOr<Jws> jws = Jws::Parse(bytes);
  if (jws.ok() && jws->Verify(SomeKey()).ok()) {
    std::abort();
  }
  const absl::StatusOr<std::vector<Jwk>> keys = ParseJwkSet(bytes);
  if (keys.ok()) {
    for (const Jwk& key : *keys) {
      if (!PublicKey::ParseSpki(key.key.spki()).ok()) {
        std::abort();
      }
    }
  }
}

}  // namespace
}  // namespace assay::crypto

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  assay::crypto::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
