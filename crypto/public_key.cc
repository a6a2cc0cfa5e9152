// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <bit>

#include "crypto/algorithm.h"
#include "crypto/der_reader.h"
#include "crypto/der_writer.h"
#include "crypto/key.h"
#include "crypto/rsa_signature.h"
#include "crypto/wolfcrypt.h"

namespace assay::crypto {
namespace {

constexpr size_t kMinRsaBits = 2048;
constexpr size_t kMaxRsaBits = 4096;
constexpr char kUncompressed = 0x04;

size_t BitsOf(std::string_view number) {
  return number.empty()
             ? 0
             : (number.size() - 1) * 8 + std::bit_width(static_cast<unsigned>(
                                             static_cast<unsigned char>(number.front())));
}

bool IsOdd(std::string_view number) { return !number.empty() && (number.back() & 1) != 0; }

struct RsaNumbers {
  std::string_view modulus, exponent;
};

absl::StatusOr<RsaNumbers> ParseRsaNumbers(std::string_view der) {
  DerReader outer(der);
  ASSIGN_OR_RETURN(DerReader reader, outer.Enter(kDerSequence, "RSA public key"));
  RETURN_IF_ERROR(outer.End("RSA public key"));
  ASSIGN_OR_RETURN(const std::string_view modulus, reader.ReadUnsigned("RSA modulus"));
  ASSIGN_OR_RETURN(const std::string_view exponent, reader.ReadUnsigned("RSA exponent"));
  RETURN_IF_ERROR(reader.End("RSA public key"));
  return RsaNumbers{modulus, exponent};
}

absl::Status CheckRsaNumbers(const RsaNumbers& numbers) {
  const size_t bits = BitsOf(numbers.modulus);
  if (bits < kMinRsaBits || bits > kMaxRsaBits) {
    return InvalidArgument("RSA key has {} bits, wanted {} to {}", bits, kMinRsaBits, kMaxRsaBits);
  }
  if (!IsOdd(numbers.modulus)) {
    return InvalidArgument("RSA modulus is even");
  }
  if (!IsOdd(numbers.exponent) || BitsOf(numbers.exponent) < 2 || BitsOf(numbers.exponent) > 32) {
    return InvalidArgument("RSA exponent is not an odd number of 3 to 2^32");
  }
  return absl::OkStatus();
}

absl::StatusOr<EccKeyPtr> ImportPoint(std::string_view point, const Curve& curve) {
  EccKeyPtr key = NewEccKey();
  if (key == nullptr) {
    return ResourceExhausted("no memory for an EC key");
  }
  if (const int error = wc_ecc_import_x963_ex(AsBytes(point), static_cast<word32>(point.size()),
                                              key.get(), curve.wolf_id);
      error != 0) {
    return InvalidArgument("EC point cannot be imported: {}", WolfError(error));
  }
  return key;
}

absl::Status CheckPoint(std::string_view point, const Curve& curve) {
  if (point.size() != 1 + 2 * curve.size || point.front() != kUncompressed) {
    return InvalidArgument("EC point is not an uncompressed one of {} bits", curve.bits);
  }
  ASSIGN_OR_RETURN(const EccKeyPtr key, ImportPoint(point, curve));
  // The curves have cofactor 1: a point on them, infinity having no such form, is in the group.
  if (wc_ecc_point_is_on_curve(&key->pubkey, wc_ecc_get_curve_idx(curve.wolf_id)) != 0) {
    return InvalidArgument("EC point is not on the curve P-{}", curve.bits);
  }
  return absl::OkStatus();
}

// The subjectPublicKey bits of an SPKI that was parsed before.
std::string_view KeyBits(std::string_view spki) {
  DerReader outer(spki);
  DerReader reader(outer.ReadAny()->content);
  (void)reader.ReadAny();
  return reader.ReadBitString("key").value();
}

// An ECDSA signature must be exactly SEQUENCE { r, s }, both in 1 to 2^bits-1: wolfCrypt reads
// more forms than one.
bool IsEcdsaSignature(std::string_view signature, size_t size) {
  DerReader outer(signature);
  absl::StatusOr<DerReader> reader = outer.Enter(kDerSequence, "signature");
  if (!reader.ok() || !outer.AtEnd()) {
    return false;
  }
  for (int i = 0; i < 2; ++i) {
    const absl::StatusOr<std::string_view> number = reader->ReadUnsigned("signature");
    if (!number.ok() || number->empty() || number->size() > size) {
      return false;
    }
  }
  return reader->AtEnd();
}

bool VerifyEcdsa(const Curve& curve, std::string_view point, std::string_view digest,
                 std::string_view signature) {
  if (!IsEcdsaSignature(signature, curve.size)) {
    return false;
  }
  const absl::StatusOr<EccKeyPtr> key = ImportPoint(point, curve);
  int valid = 0;
  return key.ok() &&
         wc_ecc_verify_hash(AsBytes(signature), static_cast<word32>(signature.size()),
                            AsBytes(digest), static_cast<word32>(digest.size()), &valid,
                            key->get()) == 0 &&
         valid == 1;
}

RsaKeyPtr ImportRsa(const RsaNumbers& numbers) {
  RsaKeyPtr key = NewRsaKey();
  if (key == nullptr || wc_RsaPublicKeyDecodeRaw(
                            AsBytes(numbers.modulus), static_cast<word32>(numbers.modulus.size()),
                            AsBytes(numbers.exponent), static_cast<word32>(numbers.exponent.size()),
                            key.get()) != 0) {
    return nullptr;
  }
  return key;
}

// Compares the whole padded block with the one that the digest makes (RFC 8017 §8.2.2): nothing of
// it is parsed, so there is no slack to forge in.
bool VerifyPkcs1(RsaKey& key, Hash hash, std::string_view digest, std::string_view signature) {
  const std::string info = DigestInfo(hash, digest);
  const auto size = static_cast<size_t>(wc_RsaEncryptSize(&key));
  std::string wanted = std::string("\x00\x01", 2);
  wanted.append(size - 3 - info.size(), '\xff');
  wanted += '\0';
  wanted += info;
  std::string block(size, '\0');
  auto block_size = static_cast<word32>(size);
  if (wc_RsaFunction(AsBytes(signature), static_cast<word32>(signature.size()),
                     reinterpret_cast<byte*>(block.data()), &block_size, RSA_PUBLIC_DECRYPT, &key,
                     nullptr) != 0) {
    return false;
  }
  // wolfCrypt may return the number without the zeros before it.
  block.resize(block_size);
  block.insert(0, size - block.size(), '\0');
  return block == wanted;
}

bool VerifyPss(RsaKey& key, Hash hash, std::string_view digest, std::string_view signature) {
  std::string input(signature);
  std::string block(static_cast<size_t>(wc_RsaEncryptSize(&key)), '\0');
  return wc_RsaPSS_VerifyCheck(
             reinterpret_cast<byte*>(input.data()), static_cast<word32>(input.size()),
             reinterpret_cast<byte*>(block.data()), static_cast<word32>(block.size()),
             AsBytes(digest), static_cast<word32>(digest.size()), WolfHashOf(hash),
             WolfMaskOf(hash), &key) > 0;
}

bool VerifyRsa(const RsaNumbers& numbers, const SignatureScheme& scheme, std::string_view digest,
               std::string_view signature) {
  if (!IsRsaSignature(signature, numbers.modulus)) {
    return false;
  }
  const RsaKeyPtr key = ImportRsa(numbers);
  if (key == nullptr) {
    return false;
  }
  return scheme.kind == SignatureScheme::Kind::kRsaPss
             ? VerifyPss(*key, scheme.hash, digest, signature)
             : VerifyPkcs1(*key, scheme.hash, digest, signature);
}

}  // namespace

absl::StatusOr<PublicKey> PublicKey::ParseSpki(std::string_view der) {
  constexpr std::string_view kWhat = "public key";
  DerReader outer(der);
  ASSIGN_OR_RETURN(DerReader reader, outer.Enter(kDerSequence, kWhat));
  RETURN_IF_ERROR(outer.End(kWhat));
  ASSIGN_OR_RETURN(DerReader algorithm, reader.Enter(kDerSequence, "public key algorithm"));
  ASSIGN_OR_RETURN(const std::string oid, algorithm.ReadOid("public key algorithm"));
  const std::string_view parameters = algorithm.rest();
  ASSIGN_OR_RETURN(const std::string_view bits, reader.ReadBitString(kWhat));
  RETURN_IF_ERROR(reader.End(kWhat));

  PublicKey key;
  key.spki_ = der;
  if (oid == kOidRsaEncryption) {
    if (parameters != DerNullValue()) {
      return InvalidArgument("RSA key has other than NULL parameters");
    }
    ASSIGN_OR_RETURN(const RsaNumbers numbers, ParseRsaNumbers(bits));
    RETURN_IF_ERROR(CheckRsaNumbers(numbers));
    key.is_rsa_ = true;
    key.bits_ = BitsOf(numbers.modulus);
    return key;
  }
  if (oid != kOidEcPublicKey) {
    return InvalidArgument("public key algorithm {} is not supported: wanted EC or RSA", oid);
  }
  ASSIGN_OR_RETURN(const std::string curve_oid, algorithm.ReadOid("EC curve"));
  RETURN_IF_ERROR(algorithm.End("EC curve"));
  const Curve* curve = FindCurve(curve_oid);
  if (curve == nullptr) {
    return InvalidArgument("EC curve {} is not supported: wanted P-256, P-384 or P-521", curve_oid);
  }
  RETURN_IF_ERROR(CheckPoint(bits, *curve));
  key.bits_ = curve->bits;
  return key;
}

absl::StatusOr<PublicKey> PublicKey::FromEcPoint(std::string_view x, std::string_view y) {
  constexpr size_t kP521Bytes = 66;
  const Curve* curve = FindCurve(x.size() == kP521Bytes ? 521 : x.size() * 8);
  if (curve == nullptr || x.size() != y.size()) {
    return InvalidArgument("EC coordinates of {} and {} bytes, wanted 32, 48 or 66 each", x.size(),
                           y.size());
  }
  const std::string point = fmt::format("{}{}{}", kUncompressed, x, y);
  return ParseSpki(DerSequence({EcAlgorithm(*curve), DerBits(point)}));
}

absl::StatusOr<PublicKey> PublicKey::FromRsa(std::string_view modulus, std::string_view exponent) {
  const std::string numbers = DerSequence({DerUnsigned(modulus), DerUnsigned(exponent)});
  return ParseSpki(DerSequence({RsaAlgorithm(), DerBits(numbers)}));
}

std::string PublicKey::ec_x() const {
  const std::string_view point = is_rsa_ ? std::string_view() : KeyBits(spki_);
  return is_rsa_ ? "" : std::string(point.substr(1, point.size() / 2));
}

std::string PublicKey::ec_y() const {
  const std::string_view point = is_rsa_ ? std::string_view() : KeyBits(spki_);
  return is_rsa_ ? "" : std::string(point.substr(1 + point.size() / 2));
}

std::string PublicKey::rsa_modulus() const {
  return is_rsa_ ? std::string(ParseRsaNumbers(KeyBits(spki_))->modulus) : "";
}

std::string PublicKey::rsa_exponent() const {
  return is_rsa_ ? std::string(ParseRsaNumbers(KeyBits(spki_))->exponent) : "";
}

SignatureScheme PublicKey::DefaultScheme() const {
  if (is_rsa_) {
    return {SignatureScheme::Kind::kRsaPkcs1, Hash::kSha256};
  }
  const Hash hash = bits_ == 256 ? Hash::kSha256 : bits_ == 384 ? Hash::kSha384 : Hash::kSha512;
  return {SignatureScheme::Kind::kEcdsa, hash};
}

std::string PublicKey::KeyIdentifier() const { return Digest(Hash::kSha1, KeyBits(spki_)); }

absl::Status PublicKey::Verify(const SignatureScheme& scheme, std::string_view message,
                               std::string_view signature) const {
  if (scheme.hash == Hash::kSha1) {
    return PermissionDenied("SHA-1 signatures are not accepted");
  }
  if ((scheme.kind == SignatureScheme::Kind::kEcdsa) == is_rsa_) {
    return PermissionDenied("the signature is of another kind than the {} key",
                            is_rsa_ ? "RSA" : "EC");
  }
  const std::string digest = Digest(scheme.hash, message);
  const bool valid = is_rsa_
                         ? VerifyRsa(*ParseRsaNumbers(KeyBits(spki_)), scheme, digest, signature)
                         : VerifyEcdsa(*FindCurve(bits_), KeyBits(spki_), digest, signature);
  if (!valid) {
    return PermissionDenied("the signature is not of this key");
  }
  return absl::OkStatus();
}

}  // namespace assay::crypto
