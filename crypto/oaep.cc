// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/oaep.h"

#include <wolfssl/options.h>
// The options come first: they decide what the other headers declare.
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/rsa.h>

#include <memory>

namespace assay::crypto {
namespace {

struct FreeRsa {
  void operator()(RsaKey* key) const {
    wc_FreeRsaKey(key);
    delete key;
  }
};
struct FreeRng {
  void operator()(WC_RNG* rng) const {
    wc_FreeRng(rng);
    delete rng;
  }
};

struct OaepHash {
  wc_HashType hash;
  int mask;
};

OaepHash HashOf(Hash hash) {
  switch (hash) {
    case Hash::kSha1:
      return {WC_HASH_TYPE_SHA, WC_MGF1SHA1};
    case Hash::kSha384:
      return {WC_HASH_TYPE_SHA384, WC_MGF1SHA384};
    case Hash::kSha512:
      return {WC_HASH_TYPE_SHA512, WC_MGF1SHA512};
    case Hash::kSha256:
      break;
  }
  return {WC_HASH_TYPE_SHA256, WC_MGF1SHA256};
}

const byte* Bytes(std::string_view text) { return reinterpret_cast<const byte*>(text.data()); }

}  // namespace

absl::StatusOr<std::string> RsaOaepEncrypt(const PublicKey& key, Hash hash, std::string_view label,
                                           std::string_view plaintext) {
  if (!key.is_rsa()) {
    return InvalidArgument("OAEP needs an RSA key");
  }
  std::unique_ptr<RsaKey, FreeRsa> rsa(new RsaKey{});
  std::unique_ptr<WC_RNG, FreeRng> rng(new WC_RNG{});
  if (wc_InitRsaKey(rsa.get(), nullptr) != 0 || wc_InitRng(rng.get()) != 0) {
    return Internal("cannot set up RSA encryption");
  }
  word32 index = 0;
  if (const int error =
          wc_RsaPublicKeyDecode(Bytes(key.spki()), &index, rsa.get(), key.spki().size());
      error != 0) {
    return InvalidArgument("cannot use the RSA key: {}", wc_GetErrorString(error));
  }
  std::string ciphertext(wc_RsaEncryptSize(rsa.get()), '\0');
  const OaepHash with = HashOf(hash);
  std::string label_copy(label);  // wolfSSL takes it as not const, and leaves it alone.
  const int size = wc_RsaPublicEncrypt_ex(
      Bytes(plaintext), plaintext.size(), reinterpret_cast<byte*>(ciphertext.data()),
      ciphertext.size(), rsa.get(), rng.get(), WC_RSA_OAEP_PAD, with.hash, with.mask,
      reinterpret_cast<byte*>(label_copy.data()), label_copy.size());
  if (size != static_cast<int>(ciphertext.size())) {
    return InvalidArgument("cannot encrypt {} bytes with an RSA key of {} bits: {}",
                           plaintext.size(), key.bits(), wc_GetErrorString(size));
  }
  return ciphertext;
}

}  // namespace assay::crypto
