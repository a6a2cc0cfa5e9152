// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/rsa_signature.h"

#include <string>

#include "crypto/algorithm.h"
#include "crypto/pss.h"
#include "crypto/wolfcrypt.h"

namespace assay::crypto {
namespace {

absl::Status NotOfThisKey() { return PermissionDenied("the signature is not of this key"); }

// The block that a signature hides, as many bytes as the modulus; empty when it hides none.
std::string Recover(const PublicKey& key, std::string_view signature) {
  if (!key.is_rsa()) {
    return "";
  }
  const std::string modulus = key.rsa_modulus(), exponent = key.rsa_exponent();
  const RsaKeyPtr rsa = NewRsaKey();
  std::string block(modulus.size(), '\0');
  auto size = static_cast<word32>(block.size());
  if (rsa == nullptr || !IsRsaSignature(signature, modulus) ||
      wc_RsaPublicKeyDecodeRaw(AsBytes(modulus), static_cast<word32>(modulus.size()),
                               AsBytes(exponent), static_cast<word32>(exponent.size()),
                               rsa.get()) != 0 ||
      wc_RsaFunction(AsBytes(signature), static_cast<word32>(signature.size()),
                     reinterpret_cast<byte*>(block.data()), &size, RSA_PUBLIC_DECRYPT, rsa.get(),
                     nullptr) != 0) {
    return "";
  }
  // wolfCrypt may return the number without the zeros before it.
  block.resize(size);
  block.insert(0, modulus.size() - block.size(), '\0');
  return block;
}

}  // namespace

absl::Status VerifyPssOfAnySalt(const PublicKey& key, Hash hash, std::string_view message,
                                std::string_view signature) {
  const bool valid = hash != Hash::kSha1 && IsPssEncoding(hash, Digest(hash, message),
                                                          Recover(key, signature), key.bits());
  return valid ? absl::OkStatus() : NotOfThisKey();
}

absl::Status VerifyPkcs1Sha1(const PublicKey& key, std::string_view message,
                             std::string_view signature) {
  const std::string block = Recover(key, signature);
  const std::string info = DigestInfo(Hash::kSha1, Digest(Hash::kSha1, message));
  if (block.size() < info.size() + 11) {
    return NotOfThisKey();
  }
  // The whole padded block is compared (RFC 8017 §8.2.2), so that there is no slack to forge in.
  std::string wanted("\x00\x01", 2);
  wanted.append(block.size() - 3 - info.size(), '\xff');
  wanted += '\0';
  wanted += info;
  return block == wanted ? absl::OkStatus() : NotOfThisKey();
}

}  // namespace assay::crypto
