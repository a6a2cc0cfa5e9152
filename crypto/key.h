// SPDX-License-Identifier: GPL-3.0-or-later
// Public keys, and the things that sign: a private key in memory, or one that never leaves a TPM.
#pragma once

#include <compare>
#include <memory>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"
#include "crypto/digest.h"

namespace assay::crypto {

enum class KeyType { kEcP256, kEcP384, kRsa2048, kRsa3072, kRsa4096 };

// "ec-p256", "ec-p384", "rsa-2048", "rsa-4096": the names in configurations.
absl::StatusOr<KeyType> ParseKeyType(std::string_view name);
std::string_view KeyTypeName(KeyType type);

// How a signature is made. ECDSA signatures are DER (RFC 3279 §2.2.3) everywhere in this project;
// JWS turns them into r||s itself.
struct SignatureScheme {
  enum class Kind { kEcdsa, kRsaPkcs1, kRsaPss };
  Kind kind;
  Hash hash;
  auto operator<=>(const SignatureScheme&) const = default;
};

// A public key by its SubjectPublicKeyInfo DER (RFC 5280 §4.1.2.7): EC P-256, P-384, P-521 or RSA
// of 2048 to 4096 bits, wolfCrypt's limit (1024-bit keys do not parse). Compares by those bytes.
class PublicKey {
 public:
  static absl::StatusOr<PublicKey> ParseSpki(std::string_view der);
  // From uncompressed coordinates, each of the curve's size: P-256 (32), P-384 (48), P-521 (66).
  static absl::StatusOr<PublicKey> FromEcPoint(std::string_view x, std::string_view y);
  // From big-endian modulus and exponent.
  static absl::StatusOr<PublicKey> FromRsa(std::string_view modulus, std::string_view exponent);

  const std::string& spki() const { return spki_; }
  bool is_rsa() const { return is_rsa_; }
  size_t bits() const { return bits_; }
  // EC: x and y padded to the curve's size. RSA: modulus and exponent, no leading zeros.
  std::string ec_x() const;
  std::string ec_y() const;
  std::string rsa_modulus() const;
  std::string rsa_exponent() const;
  // The scheme this key signs certificates with: ECDSA with the hash of the curve's size, or RSA
  // PKCS#1 v1.5 with SHA-256.
  SignatureScheme DefaultScheme() const;
  // SHA-1 of the subjectPublicKey bits: a certificate's usual SKI (RFC 5280 §4.2.1.2).
  std::string KeyIdentifier() const;

  // OK when signature is of message by this key; PermissionDenied otherwise.
  absl::Status Verify(const SignatureScheme& scheme, std::string_view message,
                      std::string_view signature) const;

  auto operator<=>(const PublicKey& other) const { return spki_ <=> other.spki_; }
  bool operator==(const PublicKey& other) const { return spki_ == other.spki_; }

 private:
  PublicKey() = default;

  std::string spki_;
  bool is_rsa_ = false;
  size_t bits_ = 0;
};

// Whatever signs with a key. Thread-safe; may block (a TPM takes tens of milliseconds).
class Signer {
 public:
  virtual ~Signer() = default;
  virtual const PublicKey& public_key() const = 0;
  // Signs a digest of scheme.hash's size.
  virtual absl::StatusOr<std::string> SignDigest(const SignatureScheme& scheme,
                                                 std::string_view digest) const = 0;
};

// Hashes the message and signs it with the key's default scheme or the given one.
absl::StatusOr<std::string> Sign(const Signer& signer, const SignatureScheme& scheme,
                                 std::string_view message);

// A private key in memory, wiped when it dies. Thread-safe.
class PrivateKey final : public Signer {
 public:
  static absl::StatusOr<std::unique_ptr<PrivateKey>> Generate(KeyType type);
  // PKCS#8 (RFC 5958), SEC 1 (RFC 5915) or PKCS#1 DER.
  static absl::StatusOr<std::unique_ptr<PrivateKey>> Parse(const Secret& der);
  // The first PRIVATE KEY, EC PRIVATE KEY or RSA PRIVATE KEY block of a PEM text.
  static absl::StatusOr<std::unique_ptr<PrivateKey>> ParsePem(const Secret& text);
  ~PrivateKey() override;

  const PublicKey& public_key() const override;
  absl::StatusOr<std::string> SignDigest(const SignatureScheme& scheme,
                                         std::string_view digest) const override;
  // Unencrypted PKCS#8 DER, as the Workload API hands it out.
  const Secret& pkcs8() const;

 private:
  struct Impl;
  explicit PrivateKey(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace assay::crypto
