// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/aes_cfb.h"

#include <wolfssl/options.h>
// The options come first: they decide what the other headers declare.
#include <wolfssl/wolfcrypt/aes.h>

#include <memory>

#include "base/secret.h"

namespace assay::crypto {
namespace {

struct FreeAes {
  void operator()(Aes* aes) const {
    wc_AesFree(aes);
    Wipe(aes, sizeof(*aes));
    delete aes;
  }
};

}  // namespace

absl::StatusOr<std::string> AesCfbEncrypt(std::string_view key, std::string_view plaintext) {
  if (key.size() != 16 && key.size() != 32) {
    return InvalidArgument("AES key has {} bytes, wanted 16 or 32", key.size());
  }
  std::unique_ptr<Aes, FreeAes> aes(new Aes{});
  const byte zero[AES_BLOCK_SIZE] = {};
  if (wc_AesInit(aes.get(), nullptr, INVALID_DEVID) != 0 ||
      wc_AesSetKey(aes.get(), reinterpret_cast<const byte*>(key.data()), key.size(), zero,
                   AES_ENCRYPTION) != 0) {
    return Internal("cannot set up AES");
  }
  std::string ciphertext(plaintext.size(), '\0');
  if (wc_AesCfbEncrypt(aes.get(), reinterpret_cast<byte*>(ciphertext.data()),
                       reinterpret_cast<const byte*>(plaintext.data()), plaintext.size()) != 0) {
    return Internal("cannot encrypt {} bytes", plaintext.size());
  }
  return ciphertext;
}

}  // namespace assay::crypto
