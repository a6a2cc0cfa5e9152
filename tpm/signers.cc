// SPDX-License-Identifier: GPL-3.0-or-later
#include <utility>

#include "tpm/structures.h"
#include "tpm/tpm.h"

namespace assay::tpm {
namespace {

class DevIdSigner final : public crypto::Signer {
 public:
  DevIdSigner(Tpm& tpm, KeyBlobs devid, Passwords passwords, crypto::PublicKey key)
      : tpm_(tpm),
        devid_(std::move(devid)),
        passwords_(std::move(passwords)),
        public_key_(std::move(key)) {}

  const crypto::PublicKey& public_key() const override { return public_key_; }

  absl::StatusOr<std::string> SignDigest(const crypto::SignatureScheme& scheme,
                                         std::string_view digest) const override {
    using Kind = crypto::SignatureScheme::Kind;
    const Kind kind = public_key_.is_rsa() ? Kind::kRsaPkcs1 : Kind::kEcdsa;
    if (scheme != crypto::SignatureScheme{kind, crypto::Hash::kSha256}) {
      return InvalidArgument("a DevID key signs with SHA-256 and ECDSA or RSA PKCS#1 v1.5 only");
    }
    return tpm_.SignWithDevId(devid_, std::string(digest), passwords_);
  }

 private:
  Tpm& tpm_;
  const KeyBlobs devid_;
  const Passwords passwords_;
  const crypto::PublicKey public_key_;
};

class KeySigner final : public crypto::Signer {
 public:
  KeySigner(Tpm& tpm, KeyBlobs blobs, Passwords passwords, crypto::PublicKey key)
      : tpm_(tpm),
        blobs_(std::move(blobs)),
        passwords_(std::move(passwords)),
        public_key_(std::move(key)) {}

  const crypto::PublicKey& public_key() const override { return public_key_; }

  absl::StatusOr<std::string> SignDigest(const crypto::SignatureScheme& scheme,
                                         std::string_view digest) const override {
    const bool is_rsa_scheme = scheme.kind != crypto::SignatureScheme::Kind::kEcdsa;
    if (is_rsa_scheme != public_key_.is_rsa()) {
      return InvalidArgument("an {} key cannot make this kind of signature",
                             public_key_.is_rsa() ? "RSA" : "EC");
    }
    return tpm_.Sign(blobs_, scheme, std::string(digest), passwords_);
  }

 private:
  Tpm& tpm_;
  const KeyBlobs blobs_;
  const Passwords passwords_;
  const crypto::PublicKey public_key_;
};

// The public key of a signing key that was made in a TPM and cannot leave it.
absl::StatusOr<crypto::PublicKey> PublicKeyOf(const KeyBlobs& blobs) {
  ASSIGN_OR_RETURN(const PublicArea area, PublicArea::Parse(blobs.public_area));
  RETURN_IF_ERROR(CheckDevIdTemplate(area));
  return area.Key();
}

}  // namespace

absl::StatusOr<std::unique_ptr<crypto::Signer>> MakeDevIdSigner(Tpm& tpm, KeyBlobs devid,
                                                                Passwords passwords) {
  ASSIGN_OR_RETURN(crypto::PublicKey key, PublicKeyOf(devid));
  return std::make_unique<DevIdSigner>(tpm, std::move(devid), std::move(passwords), std::move(key));
}

absl::StatusOr<std::unique_ptr<crypto::Signer>> MakeKeySigner(Tpm& tpm, KeyBlobs blobs,
                                                              Passwords passwords) {
  ASSIGN_OR_RETURN(crypto::PublicKey key, PublicKeyOf(blobs));
  return std::make_unique<KeySigner>(tpm, std::move(blobs), std::move(passwords), std::move(key));
}

}  // namespace assay::tpm
