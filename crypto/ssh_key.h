// SPDX-License-Identifier: GPL-3.0-or-later
// SSH's keys and signatures in their wire form: ssh-ed25519 (RFC 8709), ecdsa-sha2-nistp256 to 521
// (RFC 5656 §3.1) and ssh-rsa (RFC 4253 §6.6) of 2048 to 4096 bits, RSA signatures with SHA-2 (RFC
// 8332 §3).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"
#include "crypto/key.h"
#include "crypto/ssh_wire.h"

namespace assay::crypto {

struct SshSignature {
  std::string format;  // "ssh-ed25519", "rsa-sha2-512".
  std::string blob;
};

// Compares by its blob.
class SshPublicKey final {
 public:
  static constexpr size_t kMaxBytes = 4096;

  // InvalidArgument for another type or a key that is none.
  static absl::StatusOr<SshPublicKey> Parse(std::string_view blob);
  // Of a line (ParseSshLine).
  static absl::StatusOr<SshPublicKey> ParseLine(std::string_view line);
  // The part of a blob after its type, as certificates carry it; the reader is behind it then.
  static absl::StatusOr<SshPublicKey> Read(std::string_view type, SshReader& reader);
  static absl::StatusOr<SshPublicKey> FromKey(const PublicKey& key);

  const std::string& type() const { return type_; }
  const std::string& blob() const { return blob_; }

  // OK when the signature is of message by this key; PermissionDenied otherwise, and for SHA-1, and
  // for an RSA signature of another size than the key's.
  absl::Status Verify(std::string_view message, const SshSignature& signature) const;
  // The same, and an RSA signature with SHA-1 ("ssh-rsa") or without zeros before its number will
  // do: for messages that hold a fresh nonce, for which nobody can have prepared a collision.
  absl::Status VerifyFresh(std::string_view message, const SshSignature& signature) const;

  bool operator==(const SshPublicKey& other) const { return blob_ == other.blob_; }

 private:
  SshPublicKey() = default;

  std::string type_, blob_;
  std::optional<PublicKey> key_;  // Empty for Ed25519, whose key is the last 32 bytes of the blob.
};

// The private half, from the file of ssh-keygen or a PEM of EC or RSA keys. Thread-safe.
class SshPrivateKey final {
 public:
  // FailedPrecondition when it is under a passphrase.
  static absl::StatusOr<std::unique_ptr<SshPrivateKey>> ParsePem(const Secret& text);

  const SshPublicKey& public_key() const { return public_key_; }
  // RSA keys sign with SHA-512, as OpenSSH's.
  absl::StatusOr<SshSignature> Sign(std::string_view message) const;

 private:
  SshPrivateKey(SshPublicKey public_key, std::unique_ptr<PrivateKey> key, Secret seed)
      : public_key_(std::move(public_key)), key_(std::move(key)), seed_(std::move(seed)) {}

  const SshPublicKey public_key_;
  const std::unique_ptr<PrivateKey> key_;  // Null for Ed25519, of which there is the seed.
  const Secret seed_;
};

}  // namespace assay::crypto
