// SPDX-License-Identifier: GPL-3.0-or-later
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "crypto/algorithm.h"
#include "crypto/der_reader.h"
#include "crypto/der_writer.h"
#include "crypto/key.h"
#include "crypto/pem.h"
#include "crypto/wolfcrypt.h"

namespace assay::crypto {
namespace {

constexpr long kRsaExponent = 65537;
constexpr size_t kMaxRsaDer = 4096;  // A PKCS#1 key of 4096 bits has about 2350 bytes.

size_t RsaBitsOf(KeyType type) {
  return type == KeyType::kRsa2048 ? 2048 : type == KeyType::kRsa3072 ? 3072 : 4096;
}

// A buffer of exactly the final size, so that appending leaves no copy of a secret behind.
std::string Reserve(size_t size) {
  std::string buffer;
  buffer.reserve(size);
  return buffer;
}

// PrivateKeyInfo { 0, algorithm, OCTET STRING key } with key being appended by the caller.
std::string Pkcs8Start(const std::string& algorithm, size_t key_size) {
  const std::string octets = DerHeader(kDerOctetString, key_size);
  const std::string version = DerSmall(0);
  const size_t content = version.size() + algorithm.size() + octets.size() + key_size;
  std::string start = Reserve(content + 8);
  start += DerHeader(kDerSequence, content);
  start += version;
  start += algorithm;
  start += octets;
  return start;
}

Secret EcPkcs8(const Curve& curve, const Secret& scalar, std::string_view point) {
  const std::string version = DerSmall(1);
  const std::string scalar_header = DerHeader(kDerOctetString, scalar.size());
  const std::string public_part = DerWrap(DerContextConstructed(1), DerBits(point));
  const size_t content = version.size() + scalar_header.size() + scalar.size() + public_part.size();
  const std::string header = DerHeader(kDerSequence, content);
  std::string der = Pkcs8Start(EcAlgorithm(curve), header.size() + content);
  der += header;
  der += version;
  der += scalar_header;
  der += scalar.Reveal();
  der += public_part;
  return Secret::TakeFrom(der);
}

Secret RsaPkcs8(const Secret& pkcs1) {
  std::string der = Pkcs8Start(RsaAlgorithm(), pkcs1.size());
  der += pkcs1.Reveal();
  return Secret::TakeFrom(der);
}

struct EcParts {
  std::string_view scalar;
  std::string_view point;  // Empty when the key does not say.
  const Curve* curve;
};

// ECPrivateKey (RFC 5915); curve is what PKCS#8 around it named, or null.
absl::StatusOr<EcParts> ParseSec1(DerReader reader, const Curve* curve) {
  constexpr std::string_view kWhat = "EC private key";
  ASSIGN_OR_RETURN(const int version, reader.ReadSmall(kWhat));
  if (version != 1) {
    return InvalidArgument("EC private key has version {}, wanted 1", version);
  }
  ASSIGN_OR_RETURN(const DerElement scalar, reader.Read(kDerOctetString, kWhat));
  if (reader.NextIs(DerContextConstructed(0))) {
    ASSIGN_OR_RETURN(DerReader parameters, reader.Enter(DerContextConstructed(0), kWhat));
    ASSIGN_OR_RETURN(const std::string oid, parameters.ReadOid("EC curve"));
    const Curve* named = FindCurve(oid);
    if (named == nullptr || (curve != nullptr && named != curve)) {
      return InvalidArgument("EC private key of curve {}: not supported here", oid);
    }
    curve = named;
  }
  if (curve == nullptr || scalar.content.size() != curve->size) {
    return InvalidArgument("EC private key without a curve, or not of the curve's size");
  }
  EcParts parts = {scalar.content, {}, curve};
  if (reader.NextIs(DerContextConstructed(1))) {
    ASSIGN_OR_RETURN(DerReader bits, reader.Enter(DerContextConstructed(1), kWhat));
    ASSIGN_OR_RETURN(parts.point, bits.ReadBitString(kWhat));
  }
  RETURN_IF_ERROR(reader.End(kWhat));
  return parts;
}

absl::StatusOr<std::string> PointOf(ecc_key& key, const Curve& curve) {
  std::string point(1 + 2 * curve.size, '\0');
  auto size = static_cast<word32>(point.size());
  if (const int error = wc_ecc_export_x963(&key, reinterpret_cast<byte*>(point.data()), &size);
      error != 0 || size != point.size()) {
    return Internal("cannot export an EC point: {}", WolfError(error));
  }
  return point;
}

}  // namespace

struct PrivateKey::Impl {
  PublicKey public_key;
  Secret pkcs8;
  // wolfCrypt keeps the state of an operation inside the key.
  Mutex mutex;
  EccKeyPtr ec ABSL_GUARDED_BY(mutex);
  RsaKeyPtr rsa ABSL_GUARDED_BY(mutex);

  static absl::StatusOr<std::unique_ptr<Impl>> FromEc(EccKeyPtr key, const Curve& curve);
  static absl::StatusOr<std::unique_ptr<Impl>> FromRsa(RsaKeyPtr key);
  static absl::StatusOr<std::unique_ptr<Impl>> ParseEc(const EcParts& parts);
  static absl::StatusOr<std::unique_ptr<Impl>> ParsePkcs1(std::string_view der);
  static absl::StatusOr<std::unique_ptr<Impl>> ParsePkcs8(DerReader reader);

  absl::StatusOr<std::string> SignEcdsa(std::string_view digest, WC_RNG* rng);
  absl::StatusOr<std::string> SignRsa(const SignatureScheme& scheme, std::string_view digest,
                                      WC_RNG* rng);
};

// The key must hold both halves.
absl::StatusOr<std::unique_ptr<PrivateKey::Impl>> PrivateKey::Impl::FromEc(EccKeyPtr key,
                                                                           const Curve& curve) {
  ASSIGN_OR_RETURN(const std::string point, PointOf(*key, curve));
  std::string scalar(curve.size, '\0');
  auto size = static_cast<word32>(scalar.size());
  if (wc_ecc_export_private_only(key.get(), reinterpret_cast<byte*>(scalar.data()), &size) != 0 ||
      size != scalar.size()) {
    return Internal("cannot export an EC private key");
  }
  const Secret secret = Secret::TakeFrom(scalar);
  ASSIGN_OR_RETURN(PublicKey public_key,
                   PublicKey::ParseSpki(DerSequence({EcAlgorithm(curve), DerBits(point)})));
  return std::unique_ptr<Impl>(new Impl{.public_key = std::move(public_key),
                                        .pkcs8 = EcPkcs8(curve, secret, point),
                                        .mutex = {},
                                        .ec = std::move(key),
                                        .rsa = nullptr});
}

absl::StatusOr<std::unique_ptr<PrivateKey::Impl>> PrivateKey::Impl::FromRsa(RsaKeyPtr key) {
  std::string modulus(kMaxRsaDer, '\0'), exponent(kMaxRsaDer, '\0');
  auto modulus_size = static_cast<word32>(modulus.size());
  auto exponent_size = static_cast<word32>(exponent.size());
  if (wc_RsaFlattenPublicKey(key.get(), reinterpret_cast<byte*>(exponent.data()), &exponent_size,
                             reinterpret_cast<byte*>(modulus.data()), &modulus_size) != 0) {
    return Internal("cannot export an RSA public key");
  }
  ASSIGN_OR_RETURN(PublicKey public_key,
                   PublicKey::FromRsa(std::string_view(modulus).substr(0, modulus_size),
                                      std::string_view(exponent).substr(0, exponent_size)));
  std::string der(kMaxRsaDer, '\0');
  const int size = wc_RsaKeyToDer(key.get(), reinterpret_cast<byte*>(der.data()), kMaxRsaDer);
  if (size <= 0) {
    return Internal("cannot export an RSA private key: {}", WolfError(size));
  }
  const Secret whole = Secret::TakeFrom(der);
  const Secret pkcs1(whole.Reveal().substr(0, static_cast<size_t>(size)));
  return std::unique_ptr<Impl>(new Impl{.public_key = std::move(public_key),
                                        .pkcs8 = RsaPkcs8(pkcs1),
                                        .mutex = {},
                                        .ec = nullptr,
                                        .rsa = std::move(key)});
}

absl::StatusOr<std::unique_ptr<PrivateKey::Impl>> PrivateKey::Impl::ParseEc(const EcParts& parts) {
  EccKeyPtr key = NewEccKey();
  WC_RNG* rng = ThreadRng();
  if (key == nullptr || rng == nullptr) {
    return ResourceExhausted("no memory or random bytes for an EC key");
  }
  // The public half is computed: one that comes with the key may be another's. Making it also
  // refuses a scalar of zero, or not below the group's order.
  if (wc_ecc_import_private_key_ex(AsBytes(parts.scalar), static_cast<word32>(parts.scalar.size()),
                                   nullptr, 0, key.get(), parts.curve->wolf_id) != 0 ||
      wc_ecc_make_pub_ex(key.get(), nullptr, rng) != 0 || wc_ecc_check_key(key.get()) != 0) {
    return InvalidArgument("EC private key is no scalar of the curve P-{}", parts.curve->bits);
  }
  if (!parts.point.empty()) {
    ASSIGN_OR_RETURN(const std::string point, PointOf(*key, *parts.curve));
    if (point != parts.point) {
      return InvalidArgument("EC private key comes with the public key of another");
    }
  }
  return FromEc(std::move(key), *parts.curve);
}

absl::StatusOr<std::unique_ptr<PrivateKey::Impl>> PrivateKey::Impl::ParsePkcs1(
    std::string_view der) {
  RsaKeyPtr key = NewRsaKey();
  WC_RNG* rng = ThreadRng();
  if (key == nullptr || rng == nullptr) {
    return ResourceExhausted("no memory or random bytes for an RSA key");
  }
  word32 index = 0;
  if (const int error =
          wc_RsaPrivateKeyDecode(AsBytes(der), &index, key.get(), static_cast<word32>(der.size()));
      error != 0) {
    return InvalidArgument("RSA private key does not parse: {}", WolfError(error));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Impl> impl, FromRsa(std::move(key)));
  // Its numbers may not belong together, and such a key's signatures give away its primes.
  const SignatureScheme scheme = impl->public_key.DefaultScheme();
  const absl::StatusOr<std::string> signature =
      impl->SignRsa(scheme, Digest(scheme.hash, "pair"), rng);
  if (!signature.ok() || !impl->public_key.Verify(scheme, "pair", *signature).ok()) {
    return InvalidArgument("RSA private key is inconsistent");
  }
  return impl;
}

absl::StatusOr<std::unique_ptr<PrivateKey::Impl>> PrivateKey::Impl::ParsePkcs8(DerReader reader) {
  constexpr std::string_view kWhat = "PKCS#8 private key";
  ASSIGN_OR_RETURN(const int version, reader.ReadSmall(kWhat));
  if (version > 1) {
    return InvalidArgument("PKCS#8 private key has version {}, wanted 0 or 1", version);
  }
  ASSIGN_OR_RETURN(DerReader algorithm, reader.Enter(kDerSequence, kWhat));
  ASSIGN_OR_RETURN(const std::string oid, algorithm.ReadOid(kWhat));
  ASSIGN_OR_RETURN(const DerElement octets, reader.Read(kDerOctetString, kWhat));
  // Attributes and the public key of RFC 5958 may follow; neither is needed.
  while (!reader.AtEnd()) {
    RETURN_IF_ERROR(reader.ReadAny().status());
  }
  if (oid == kOidRsaEncryption) {
    return ParsePkcs1(octets.content);
  }
  if (oid != kOidEcPublicKey) {
    return InvalidArgument("private key algorithm {} is not supported: wanted EC or RSA", oid);
  }
  ASSIGN_OR_RETURN(const std::string curve_oid, algorithm.ReadOid("EC curve"));
  const Curve* curve = FindCurve(curve_oid);
  if (curve == nullptr) {
    return InvalidArgument("EC curve {} is not supported", curve_oid);
  }
  DerReader inner(octets.content);
  ASSIGN_OR_RETURN(const DerReader sec1, inner.Enter(kDerSequence, kWhat));
  RETURN_IF_ERROR(inner.End(kWhat));
  ASSIGN_OR_RETURN(const EcParts parts, ParseSec1(sec1, curve));
  return ParseEc(parts);
}

absl::StatusOr<std::string> PrivateKey::Impl::SignEcdsa(std::string_view digest, WC_RNG* rng) {
  FreeCurveTablesAtThreadExit();
  MutexLock lock(mutex);
  std::string signature(static_cast<size_t>(wc_ecc_sig_size(ec.get())), '\0');
  auto size = static_cast<word32>(signature.size());
  if (const int error =
          wc_ecc_sign_hash(AsBytes(digest), static_cast<word32>(digest.size()),
                           reinterpret_cast<byte*>(signature.data()), &size, rng, ec.get());
      error != 0) {
    return Internal("EC signing failed: {}", WolfError(error));
  }
  signature.resize(size);
  return signature;
}

absl::StatusOr<std::string> PrivateKey::Impl::SignRsa(const SignatureScheme& scheme,
                                                      std::string_view digest, WC_RNG* rng) {
  MutexLock lock(mutex);
  // Blinding takes its random numbers from the generator of the thread that signs.
  wc_RsaSetRNG(rsa.get(), rng);
  std::string signature(static_cast<size_t>(wc_RsaEncryptSize(rsa.get())), '\0');
  auto* out = reinterpret_cast<byte*>(signature.data());
  const auto out_size = static_cast<word32>(signature.size());
  const std::string info = DigestInfo(scheme.hash, digest);
  const int size =
      scheme.kind == SignatureScheme::Kind::kRsaPss
          ? wc_RsaPSS_Sign(AsBytes(digest), static_cast<word32>(digest.size()), out, out_size,
                           WolfHashOf(scheme.hash), WolfMaskOf(scheme.hash), rsa.get(), rng)
          : wc_RsaSSL_Sign(AsBytes(info), static_cast<word32>(info.size()), out, out_size,
                           rsa.get(), rng);
  if (size != static_cast<int>(signature.size())) {
    return Internal("RSA signing failed: {}", WolfError(size));
  }
  return signature;
}

PrivateKey::PrivateKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PrivateKey::~PrivateKey() = default;

absl::StatusOr<std::unique_ptr<PrivateKey>> PrivateKey::Generate(KeyType type) {
  WC_RNG* rng = ThreadRng();
  if (rng == nullptr) {
    return Unavailable("no random bytes for a key");
  }
  absl::StatusOr<std::unique_ptr<Impl>> impl = Internal("unreachable");
  if (type == KeyType::kEcP256 || type == KeyType::kEcP384) {
    const Curve& curve = *FindCurve(type == KeyType::kEcP256 ? size_t{256} : size_t{384});
    EccKeyPtr key = NewEccKey();
    if (key == nullptr ||
        wc_ecc_make_key_ex(rng, static_cast<int>(curve.size), key.get(), curve.wolf_id) != 0) {
      return ResourceExhausted("cannot generate an EC key");
    }
    impl = Impl::FromEc(std::move(key), curve);
  } else {
    RsaKeyPtr key = NewRsaKey();
    if (key == nullptr ||
        wc_MakeRsaKey(key.get(), static_cast<int>(RsaBitsOf(type)), kRsaExponent, rng) != 0) {
      return ResourceExhausted("cannot generate an RSA key");
    }
    impl = Impl::FromRsa(std::move(key));
  }
  RETURN_IF_ERROR(impl.status());
  return std::unique_ptr<PrivateKey>(new PrivateKey(*std::move(impl)));
}

absl::StatusOr<std::unique_ptr<PrivateKey>> PrivateKey::Parse(const Secret& der) {
  constexpr std::string_view kWhat = "private key";
  DerReader outer(der.Reveal());
  ASSIGN_OR_RETURN(const DerReader reader, outer.Enter(kDerSequence, kWhat));
  RETURN_IF_ERROR(outer.End(kWhat));
  // The three forms differ in their second element.
  DerReader ahead = reader;
  RETURN_IF_ERROR(ahead.ReadSmall("version of the private key").status());
  absl::StatusOr<std::unique_ptr<Impl>> impl =
      InvalidArgument("private key is neither PKCS#8, SEC 1 nor PKCS#1");
  if (ahead.NextIs(kDerSequence)) {
    impl = Impl::ParsePkcs8(reader);
  } else if (ahead.NextIs(kDerOctetString)) {
    ASSIGN_OR_RETURN(const EcParts parts, ParseSec1(reader, nullptr));
    impl = Impl::ParseEc(parts);
  } else if (ahead.NextIs(kDerInteger)) {
    impl = Impl::ParsePkcs1(der.Reveal());
  }
  RETURN_IF_ERROR(impl.status());
  return std::unique_ptr<PrivateKey>(new PrivateKey(*std::move(impl)));
}

absl::StatusOr<std::unique_ptr<PrivateKey>> PrivateKey::ParsePem(const Secret& text) {
  ASSIGN_OR_RETURN(std::vector<PemBlock> blocks, crypto::ParsePem(text.Reveal()));
  std::optional<Secret> der;
  for (PemBlock& block : blocks) {
    Secret content = Secret::TakeFrom(block.der);
    if (!der && (block.label == "PRIVATE KEY" || block.label == "EC PRIVATE KEY" ||
                 block.label == "RSA PRIVATE KEY")) {
      der = std::move(content);
    }
  }
  if (!der) {
    return InvalidArgument("no PRIVATE KEY block in the PEM text");
  }
  return Parse(*der);
}

const PublicKey& PrivateKey::public_key() const { return impl_->public_key; }

const Secret& PrivateKey::pkcs8() const { return impl_->pkcs8; }

absl::StatusOr<std::string> PrivateKey::SignDigest(const SignatureScheme& scheme,
                                                   std::string_view digest) const {
  if (scheme.hash == Hash::kSha1 || digest.size() != DigestSize(scheme.hash)) {
    return InvalidArgument("digest of {} bytes is not of the scheme's hash", digest.size());
  }
  if ((scheme.kind == SignatureScheme::Kind::kEcdsa) == impl_->public_key.is_rsa()) {
    return InvalidArgument("the signature scheme is not of this kind of key");
  }
  WC_RNG* rng = ThreadRng();
  if (rng == nullptr) {
    return Unavailable("no random bytes to sign with");
  }
  return impl_->public_key.is_rsa() ? impl_->SignRsa(scheme, digest, rng)
                                    : impl_->SignEcdsa(digest, rng);
}

}  // namespace assay::crypto
