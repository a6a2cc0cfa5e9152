// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/ed25519.h"

#include "crypto/wolfcrypt.h"
// After the options, which wolfcrypt.h brings.
#include <wolfssl/wolfcrypt/ed25519.h>

namespace assay::crypto {
namespace {

struct FreeEd25519 {
  void operator()(ed25519_key* key) const {
    wc_ed25519_free(key);
    Wipe(key, sizeof(*key));
    delete key;
  }
};
using Ed25519Ptr = std::unique_ptr<ed25519_key, FreeEd25519>;

Ed25519Ptr NewKey() {
  Ed25519Ptr key(new ed25519_key{});
  return wc_ed25519_init(key.get()) == 0 ? std::move(key) : nullptr;
}

// Both halves of the seed's key.
absl::StatusOr<Ed25519Ptr> KeyOf(const Secret& seed, std::string& public_key) {
  Ed25519Ptr key = NewKey();
  public_key.assign(kEd25519KeyBytes, '\0');
  auto* point = reinterpret_cast<byte*>(public_key.data());
  if (key == nullptr || seed.size() != kEd25519KeyBytes ||
      wc_ed25519_import_private_only(AsBytes(seed.Reveal()), kEd25519KeyBytes, key.get()) != 0 ||
      wc_ed25519_make_public(key.get(), point, kEd25519KeyBytes) != 0 ||
      wc_ed25519_import_public(point, kEd25519KeyBytes, key.get()) != 0) {
    return InvalidArgument("no Ed25519 private key of {} bytes", kEd25519KeyBytes);
  }
  return key;
}

}  // namespace

absl::StatusOr<std::string> Ed25519PublicKey(const Secret& seed) {
  std::string public_key;
  RETURN_IF_ERROR(KeyOf(seed, public_key).status());
  return public_key;
}

absl::StatusOr<std::string> SignEd25519(const Secret& seed, std::string_view message) {
  std::string public_key;
  ASSIGN_OR_RETURN(const Ed25519Ptr key, KeyOf(seed, public_key));
  std::string signature(ED25519_SIG_SIZE, '\0');
  auto size = static_cast<word32>(signature.size());
  if (const int error =
          wc_ed25519_sign_msg(AsBytes(message), static_cast<word32>(message.size()),
                              reinterpret_cast<byte*>(signature.data()), &size, key.get());
      error != 0 || size != signature.size()) {
    return Internal("Ed25519 signing failed: {}", WolfError(error));
  }
  return signature;
}

absl::Status VerifyEd25519(std::string_view public_key, std::string_view message,
                           std::string_view signature) {
  const Ed25519Ptr key = NewKey();
  int valid = 0;
  if (key == nullptr || public_key.size() != kEd25519KeyBytes ||
      signature.size() != ED25519_SIG_SIZE ||
      wc_ed25519_import_public(AsBytes(public_key), kEd25519KeyBytes, key.get()) != 0 ||
      wc_ed25519_verify_msg(AsBytes(signature), ED25519_SIG_SIZE, AsBytes(message),
                            static_cast<word32>(message.size()), &valid, key.get()) != 0 ||
      valid != 1) {
    return PermissionDenied("the signature is not of this key");
  }
  return absl::OkStatus();
}

}  // namespace assay::crypto
