// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>

#include "crypto/der_writer.h"
#include "crypto/digest.h"
#include "crypto/ed25519.h"
#include "crypto/rsa_signature.h"
#include "crypto/ssh_key.h"

namespace assay::crypto {
namespace {

using Kind = SignatureScheme::Kind;

constexpr std::string_view kEd25519 = "ssh-ed25519";
constexpr std::string_view kRsa = "ssh-rsa";
constexpr char kUncompressed = 0x04;

struct EcType {
  std::string_view type, curve;
  size_t bits, size;
  Hash hash;
};
constexpr std::array<EcType, 3> kEcTypes = {
    {{"ecdsa-sha2-nistp256", "nistp256", 256, 32, Hash::kSha256},
     {"ecdsa-sha2-nistp384", "nistp384", 384, 48, Hash::kSha384},
     {"ecdsa-sha2-nistp521", "nistp521", 521, 66, Hash::kSha512}}};

const EcType* FindEcType(std::string_view type) {
  for (const EcType& known : kEcTypes) {
    if (known.type == type) {
      return &known;
    }
  }
  return nullptr;
}

absl::StatusOr<PublicKey> ReadEc(const EcType& type, SshReader& reader) {
  ASSIGN_OR_RETURN(const std::string_view curve, reader.ReadString("curve of the SSH key"));
  ASSIGN_OR_RETURN(const std::string_view point, reader.ReadString("point of the SSH key"));
  if (curve != type.curve || point.size() != 1 + 2 * type.size || point.front() != kUncompressed) {
    return InvalidArgument("SSH key is not an uncompressed point of {}", type.curve);
  }
  return PublicKey::FromEcPoint(point.substr(1, type.size), point.substr(1 + type.size));
}

absl::StatusOr<PublicKey> ReadRsa(SshReader& reader) {
  ASSIGN_OR_RETURN(const std::string_view exponent, reader.ReadUnsigned("RSA exponent"));
  ASSIGN_OR_RETURN(const std::string_view modulus, reader.ReadUnsigned("RSA modulus"));
  return PublicKey::FromRsa(modulus, exponent);
}

// ECDSA's blob (RFC 5656 §3.1.2) as DER.
absl::StatusOr<std::string> EcdsaSignature(std::string_view blob) {
  SshReader reader(blob);
  ASSIGN_OR_RETURN(const std::string_view r, reader.ReadUnsigned("signature"));
  ASSIGN_OR_RETURN(const std::string_view s, reader.ReadUnsigned("signature"));
  RETURN_IF_ERROR(reader.End("signature"));
  return DerSequence({DerUnsigned(r), DerUnsigned(s)});
}

absl::Status WrongFormat(std::string_view format, std::string_view type) {
  return PermissionDenied("signature of type {} is none of a {} key", Quoted(format), type);
}

absl::Status VerifyRsa(const PublicKey& key, std::string_view message,
                       const SshSignature& signature) {
  // Some signers leave out the zeros before the number.
  const size_t size = (key.bits() + 7) / 8;
  std::string blob = signature.blob;
  blob.insert(0, blob.size() < size ? size - blob.size() : 0, '\0');
  if (signature.format == "rsa-sha2-256") {
    return key.Verify({Kind::kRsaPkcs1, Hash::kSha256}, message, blob);
  }
  if (signature.format == "rsa-sha2-512") {
    return key.Verify({Kind::kRsaPkcs1, Hash::kSha512}, message, blob);
  }
  return signature.format == kRsa ? VerifyPkcs1Sha1(key, message, blob)
                                  : WrongFormat(signature.format, kRsa);
}

}  // namespace

absl::StatusOr<SshPublicKey> SshPublicKey::Read(std::string_view type, SshReader& reader) {
  const std::string_view before = reader.rest();
  SshPublicKey key;
  if (const EcType* ec = FindEcType(type); ec != nullptr) {
    ASSIGN_OR_RETURN(key.key_, ReadEc(*ec, reader));
  } else if (type == kRsa) {
    ASSIGN_OR_RETURN(key.key_, ReadRsa(reader));
  } else if (type == kEd25519) {
    ASSIGN_OR_RETURN(const std::string_view point, reader.ReadString("Ed25519 key"));
    if (point.size() != kEd25519KeyBytes) {
      return InvalidArgument("Ed25519 key has {} bytes, wanted {}", point.size(), kEd25519KeyBytes);
    }
  } else {
    return InvalidArgument("SSH key of type {}: wanted ssh-ed25519, ecdsa-sha2-nistp or ssh-rsa",
                           Quoted(type));
  }
  key.type_ = type;
  key.blob_ = SshString(type);
  key.blob_ += before.substr(0, before.size() - reader.rest().size());
  return key;
}

absl::StatusOr<SshPublicKey> SshPublicKey::Parse(std::string_view blob) {
  if (blob.size() > kMaxBytes) {
    return InvalidArgument("SSH key has {} bytes, wanted at most {}", blob.size(), kMaxBytes);
  }
  SshReader reader(blob);
  ASSIGN_OR_RETURN(const std::string_view type, reader.ReadString("type of the SSH key"));
  ASSIGN_OR_RETURN(SshPublicKey key, Read(type, reader));
  RETURN_IF_ERROR(reader.End("SSH key"));
  return key;
}

absl::StatusOr<SshPublicKey> SshPublicKey::ParseLine(std::string_view line) {
  const absl::StatusOr<SshLine> parts = ParseSshLine(line);
  if (!parts.ok()) {
    return InvalidArgument("no line of an SSH public key, such as \"ssh-ed25519 AAAA...\"");
  }
  ASSIGN_OR_RETURN(SshPublicKey key, Parse(parts->blob));
  if (key.type() != parts->type) {
    return InvalidArgument("line of type {} holds an SSH key of type {}", Quoted(parts->type),
                           key.type());
  }
  return key;
}

absl::StatusOr<SshPublicKey> SshPublicKey::FromKey(const PublicKey& key) {
  if (key.is_rsa()) {
    return Parse(SshString(kRsa) + SshUnsigned(key.rsa_exponent()) +
                 SshUnsigned(key.rsa_modulus()));
  }
  for (const EcType& type : kEcTypes) {
    if (type.bits == key.bits()) {
      return Parse(SshString(type.type) + SshString(type.curve) +
                   SshString(std::string(1, kUncompressed) + key.ec_x() + key.ec_y()));
    }
  }
  return InvalidArgument("SSH has no type for an EC key of {} bits", key.bits());
}

absl::Status SshPublicKey::Verify(std::string_view message, const SshSignature& signature) const {
  if (signature.format == kRsa) {
    return PermissionDenied("SHA-1 signatures (ssh-rsa) are not accepted");
  }
  if (type_ == kRsa && signature.blob.size() != (key_->bits() + 7) / 8) {
    return PermissionDenied("the signature has another size than its RSA key");
  }
  return VerifyFresh(message, signature);
}

absl::Status SshPublicKey::VerifyFresh(std::string_view message,
                                       const SshSignature& signature) const {
  if (type_ == kRsa) {
    return VerifyRsa(*key_, message, signature);
  }
  if (signature.format != type_) {
    return WrongFormat(signature.format, type_);
  }
  if (const EcType* ec = FindEcType(type_); ec != nullptr) {
    const absl::StatusOr<std::string> der = EcdsaSignature(signature.blob);
    return der.ok() ? key_->Verify({Kind::kEcdsa, ec->hash}, message, *der)
                    : PermissionDenied("{}", Message(der.status()));
  }
  return VerifyEd25519(std::string_view(blob_).substr(blob_.size() - kEd25519KeyBytes), message,
                       signature.blob);
}

}  // namespace assay::crypto
