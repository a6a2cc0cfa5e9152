// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/structures.h"

#include "tpm/wire.h"

namespace assay::tpm {
namespace {

// Algorithms (TPM_ALG_ID), curves and attestation types that the parsers know.
constexpr uint16_t kRsa = 0x0001, kSha1 = 0x0004, kAes = 0x0006, kSha256 = 0x000b, kSha384 = 0x000c,
                   kSha512 = 0x000d, kNull = 0x0010, kRsaSsa = 0x0014, kRsaEs = 0x0015,
                   kEcDaa = 0x001a, kEcc = 0x0023, kCfb = 0x0043;
constexpr uint16_t kP256 = 0x0003, kP384 = 0x0004;
constexpr uint32_t kAttestMagic = 0xff544347;
constexpr uint16_t kAttestCertify = 0x8017;

// Larger than any structure of this kind that a TPM makes (RSA 4096 needs about 600).
constexpr size_t kMaxPublicBytes = 2048, kMaxAttestBytes = 2048, kMaxSignatureBytes = 2048;

// PolicySecret(TPM_RH_ENDORSEMENT) as a digest: the policy of the TCG's low-range EK templates.
constexpr std::string_view kEkPolicy(
    "\x83\x71\x97\x67\x44\x84\xb3\xf8\x1a\x90\xcc\x8d\x46\xa5\xd7\x24"
    "\xfd\x52\xd7\x6e\x06\x52\x0b\x64\xf2\xa1\xda\x1b\x33\x14\x69\xaa",
    32);

absl::StatusOr<crypto::Hash> HashOf(uint16_t algorithm) {
  switch (algorithm) {
    case kSha1:
      return crypto::Hash::kSha1;
    case kSha256:
      return crypto::Hash::kSha256;
    case kSha384:
      return crypto::Hash::kSha384;
    case kSha512:
      return crypto::Hash::kSha512;
    default:
      return InvalidArgument("hash algorithm 0x{:04x} is not supported", algorithm);
  }
}

size_t CoordinateSize(uint16_t curve) { return curve == kP256 ? 32 : curve == kP384 ? 48 : 0; }

// The symmetric and asymmetric schemes that RSA and ECC parameters both begin with.
absl::Status ReadSchemes(WireReader& reader, PublicArea& area) {
  area.symmetric = reader.U16();
  if (area.symmetric == kAes) {
    area.symmetric_bits = reader.U16();
    area.symmetric_mode = reader.U16();
  } else if (area.symmetric != kNull) {
    return InvalidArgument("symmetric algorithm 0x{:04x} is not supported", area.symmetric);
  }
  area.scheme = reader.U16();
  if (area.scheme == kEcDaa) {
    return InvalidArgument("anonymous attestation keys are not supported");
  }
  if (area.scheme != kNull && area.scheme != kRsaEs) {
    area.scheme_hash = reader.U16();
  }
  return absl::OkStatus();
}

absl::Status ReadRsa(WireReader& reader, PublicArea& area) {
  RETURN_IF_ERROR(ReadSchemes(reader, area));
  area.rsa_bits = reader.U16();
  area.exponent = reader.U32();
  area.unique = reader.Sized();
  if (area.unique.size() * 8 != area.rsa_bits) {
    return InvalidArgument("modulus has {} bytes, wanted {} bits", area.unique.size(),
                           area.rsa_bits);
  }
  return absl::OkStatus();
}

absl::Status ReadEcc(WireReader& reader, PublicArea& area) {
  RETURN_IF_ERROR(ReadSchemes(reader, area));
  area.curve = reader.U16();
  if (reader.U16() != kNull) {
    reader.U16();  // The hash of a key derivation scheme, which a signing key has no use for.
  }
  const size_t size = CoordinateSize(area.curve);
  if (size == 0) {
    return InvalidArgument("curve 0x{:04x} is not supported", area.curve);
  }
  for (int coordinate = 0; coordinate < 2; ++coordinate) {
    const std::string_view bytes = reader.Sized();
    if (bytes.empty() || bytes.size() > size) {
      return InvalidArgument("coordinate has {} bytes, wanted 1 to {}", bytes.size(), size);
    }
    area.unique.append(size - bytes.size(), '\0').append(bytes);
  }
  return absl::OkStatus();
}

absl::Status CheckAttributes(const PublicArea& area, uint32_t needed, uint32_t forbidden) {
  if ((area.attributes & needed) != needed || (area.attributes & forbidden) != 0) {
    return InvalidArgument("attributes 0x{:08x} lack 0x{:08x} or have one of 0x{:08x}",
                           area.attributes, needed & ~area.attributes, forbidden);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PublicArea> PublicArea::Parse(std::string_view bytes) {
  if (bytes.size() > kMaxPublicBytes) {
    return InvalidArgument("public area has {} bytes, wanted at most {}", bytes.size(),
                           kMaxPublicBytes);
  }
  WireReader reader(bytes);
  PublicArea area;
  area.bytes = bytes;
  area.type = reader.U16();
  area.name_alg = reader.U16();
  area.attributes = reader.U32();
  area.auth_policy = reader.Sized();
  if (reader.failed()) {
    return InvalidArgument("public area of {} bytes is cut off", bytes.size());
  }
  if (area.type != kRsa && area.type != kEcc) {
    return InvalidArgument("object type 0x{:04x} is neither RSA nor ECC", area.type);
  }
  const absl::Status parameters = area.type == kRsa ? ReadRsa(reader, area) : ReadEcc(reader, area);
  if (reader.failed()) {
    return InvalidArgument("public area of {} bytes is cut off", bytes.size());
  }
  RETURN_IF_ERROR(parameters);
  if (!reader.Complete()) {
    return InvalidArgument("public area of {} bytes has bytes after its end", bytes.size());
  }
  return area;
}

absl::StatusOr<std::string> PublicArea::Name() const {
  ASSIGN_OR_RETURN(const crypto::Hash hash, HashOf(name_alg));
  return WireU16(name_alg) + crypto::Digest(hash, bytes);
}

absl::StatusOr<crypto::PublicKey> PublicArea::Key() const {
  if (type == kEcc) {
    const size_t size = unique.size() / 2;
    return crypto::PublicKey::FromEcPoint(std::string_view(unique).substr(0, size),
                                          std::string_view(unique).substr(size));
  }
  constexpr uint32_t kDefaultExponent = 65537;
  std::string number = WireU32(exponent == 0 ? kDefaultExponent : exponent);
  number.erase(0, number.find_first_not_of('\0'));
  return crypto::PublicKey::FromRsa(unique, number);
}

absl::StatusOr<PublicArea> ParsePublicBlob(std::string_view bytes) {
  constexpr size_t kSize = 2;
  absl::StatusOr<PublicArea> area = PublicArea::Parse(bytes);
  if (!area.ok() && bytes.size() > kSize && PublicArea::Parse(bytes.substr(kSize)).ok()) {
    return InvalidArgument("public area has a TPM2B size in front: cut off its first two bytes");
  }
  return area;
}

absl::StatusOr<CertifyInfo> CertifyInfo::Parse(std::string_view bytes) {
  if (bytes.size() > kMaxAttestBytes) {
    return InvalidArgument("attestation has {} bytes, wanted at most {}", bytes.size(),
                           kMaxAttestBytes);
  }
  WireReader reader(bytes);
  const uint32_t magic = reader.U32();
  const uint16_t type = reader.U16();
  if (reader.failed() || magic != kAttestMagic) {
    return InvalidArgument("attestation does not begin with the TPM's own magic number");
  }
  if (type != kAttestCertify) {
    return InvalidArgument("attestation is of type 0x{:04x}, wanted a certification", type);
  }
  CertifyInfo info;
  reader.Sized();  // The qualified name of the signer: what proves the signer is its signature.
  info.extra_data = reader.Sized();
  reader.Bytes(8 + 4 + 4 + 1);  // Clock, reset and restart counts, safe
  reader.Bytes(8);              // Firmware version
  info.certified_name = reader.Sized();
  reader.Sized();  // Qualified name
  if (!reader.Complete()) {
    return InvalidArgument("attestation of {} bytes is cut off or has bytes after its end",
                           bytes.size());
  }
  return info;
}

absl::Status VerifyTpmSignature(const PublicArea& ak, std::string_view attest,
                                std::string_view signature) {
  if (signature.size() > kMaxSignatureBytes) {
    return InvalidArgument("signature has {} bytes, wanted at most {}", signature.size(),
                           kMaxSignatureBytes);
  }
  if (ak.type != kRsa || ak.scheme != kRsaSsa) {
    return InvalidArgument("the attestation key's scheme 0x{:04x} is not RSASSA", ak.scheme);
  }
  WireReader reader(signature);
  const uint16_t scheme = reader.U16();
  const uint16_t hash_algorithm = reader.U16();
  const std::string_view rsa = reader.Sized();
  if (!reader.Complete()) {
    return InvalidArgument("signature of {} bytes is cut off or has bytes after its end",
                           signature.size());
  }
  if (scheme != ak.scheme || hash_algorithm != ak.scheme_hash) {
    return InvalidArgument("signature of scheme 0x{:04x} with hash 0x{:04x} is not of the key's",
                           scheme, hash_algorithm);
  }
  ASSIGN_OR_RETURN(const crypto::Hash hash, HashOf(hash_algorithm));
  ASSIGN_OR_RETURN(const crypto::PublicKey key, ak.Key());
  return key.Verify({crypto::SignatureScheme::Kind::kRsaPkcs1, hash}, attest, rsa);
}

absl::Status CheckEkTemplate(const PublicArea& ek) {
  constexpr uint32_t kAttributes =
      kFixedTpm | kFixedParent | kSensitiveDataOrigin | kAdminWithPolicy | kRestricted | kDecrypt;
  const bool same = ek.type == kRsa && ek.name_alg == kSha256 && ek.attributes == kAttributes &&
                    ek.auth_policy == kEkPolicy && ek.symmetric == kAes &&
                    ek.symmetric_bits == 128 && ek.symmetric_mode == kCfb && ek.scheme == kNull &&
                    ek.rsa_bits == 2048 && ek.exponent == 0;
  return same ? absl::OkStatus()
              : InvalidArgument("endorsement key is not of the default RSA 2048 template");
}

absl::Status CheckAkTemplate(const PublicArea& ak) {
  if (ak.type != kRsa || ak.rsa_bits < 2048 || ak.scheme != kRsaSsa || ak.scheme_hash != kSha256 ||
      ak.name_alg != kSha256) {
    return InvalidArgument("attestation key is not RSA of 2048 bits or more with RSASSA-SHA256");
  }
  return WithContext(
      CheckAttributes(ak,
                      kFixedTpm | kFixedParent | kSensitiveDataOrigin | kRestricted | kSignEncrypt,
                      kDecrypt),
      "attestation key is no restricted signing key of a TPM");
}

absl::Status CheckDevIdTemplate(const PublicArea& devid) {
  return WithContext(
      CheckAttributes(devid, kFixedTpm | kFixedParent | kSensitiveDataOrigin | kSignEncrypt,
                      kRestricted | kDecrypt),
      "DevID key is no signing key that was made in its TPM");
}

}  // namespace assay::tpm
