// SPDX-License-Identifier: GPL-3.0-or-later
#include <wolfssl/options.h>
// The options come first: they decide what the other headers declare.
#include <wolfssl/wolfcrypt/integer.h>

#include <algorithm>
#include <vector>

#include "crypto/algorithm.h"
#include "crypto/der_writer.h"
#include "crypto/ed25519.h"
#include "crypto/pem.h"
#include "crypto/ssh_key.h"
#include "crypto/wolfcrypt.h"

namespace assay::crypto {
namespace {

// The file of ssh-keygen (OpenSSH's PROTOCOL.key).
constexpr std::string_view kLabel = "OPENSSH PRIVATE KEY";
constexpr std::string_view kMagic("openssh-key-v1\0", 15);
constexpr std::string_view kNone = "none";
constexpr std::string_view kWhat = "SSH private key";
constexpr size_t kMaxRsaBytes = 512;
// Nine numbers of at most 512 bytes with their headers.
constexpr size_t kMaxDerBytes = 9 * (kMaxRsaBytes + 8) + 16;

// What becomes DER: appended to a buffer of the final size, so that no copy is left behind.
class DerBuffer {
 public:
  DerBuffer() { bytes_.reserve(kMaxDerBytes); }
  ~DerBuffer() { Wipe(bytes_.data(), bytes_.size()); }
  DerBuffer(const DerBuffer&) = delete;
  DerBuffer& operator=(const DerBuffer&) = delete;

  void Add(std::string_view bytes) { bytes_ += bytes; }
  void AddUnsigned(std::string_view number) {
    number.remove_prefix(std::min(number.find_first_not_of('\0'), number.size()));
    const bool is_high = number.empty() || (static_cast<unsigned char>(number.front()) & 0x80) != 0;
    bytes_ += DerHeader(kDerInteger, number.size() + (is_high ? 1 : 0));
    bytes_.append(is_high ? 1 : 0, '\0');
    bytes_ += number;
  }
  // A SEQUENCE of what was added.
  Secret Wrapped() const {
    std::string whole;
    whole.reserve(bytes_.size() + 8);
    whole += DerHeader(kDerSequence, bytes_.size());
    whole += bytes_;
    return Secret::TakeFrom(whole);
  }

 private:
  std::string bytes_;
};

struct Number {
  Number() { mp_init(&value); }
  ~Number() { mp_forcezero(&value); }
  Number(const Number&) = delete;
  Number& operator=(const Number&) = delete;
  bool Read(std::string_view bytes) {
    return bytes.size() <= kMaxRsaBytes &&
           mp_read_unsigned_bin(&value, AsBytes(bytes), static_cast<word32>(bytes.size())) == 0;
  }
  mp_int value;
};

// The exponent of a prime (RFC 8017 §3.2), which SSH's form leaves out: d mod (prime - 1).
absl::StatusOr<Secret> PrimeExponent(std::string_view d, std::string_view prime) {
  Number exponent, below;
  if (!exponent.Read(d) || !below.Read(prime) || mp_sub_d(&below.value, 1, &below.value) != 0 ||
      mp_mod(&exponent.value, &below.value, &exponent.value) != 0) {
    return InvalidArgument("{} is no RSA key", kWhat);
  }
  std::string bytes(static_cast<size_t>(mp_unsigned_bin_size(&exponent.value)), '\0');
  const int error = mp_to_unsigned_bin(&exponent.value, reinterpret_cast<byte*>(bytes.data()));
  Secret secret = Secret::TakeFrom(bytes);
  return error == 0 ? absl::StatusOr<Secret>(std::move(secret))
                    : Internal("{}: {}", kWhat, WolfError(error));
}

absl::StatusOr<std::unique_ptr<PrivateKey>> ReadRsa(SshReader& reader) {
  ASSIGN_OR_RETURN(const std::string_view modulus, reader.ReadUnsigned(kWhat));
  ASSIGN_OR_RETURN(const std::string_view exponent, reader.ReadUnsigned(kWhat));
  ASSIGN_OR_RETURN(const std::string_view d, reader.ReadUnsigned(kWhat));
  ASSIGN_OR_RETURN(const std::string_view inverse, reader.ReadUnsigned(kWhat));
  ASSIGN_OR_RETURN(const std::string_view p, reader.ReadUnsigned(kWhat));
  ASSIGN_OR_RETURN(const std::string_view q, reader.ReadUnsigned(kWhat));
  for (const std::string_view number : {modulus, exponent, d, inverse, p, q}) {
    if (number.empty() || number.size() > kMaxRsaBytes) {
      return InvalidArgument("{}: an RSA number has {} bytes", kWhat, number.size());
    }
  }
  ASSIGN_OR_RETURN(const Secret of_p, PrimeExponent(d, p));
  ASSIGN_OR_RETURN(const Secret of_q, PrimeExponent(d, q));
  DerBuffer der;  // RSAPrivateKey (RFC 8017 §A.1.2)
  der.AddUnsigned("");
  for (const std::string_view number :
       {modulus, exponent, d, p, q, of_p.Reveal(), of_q.Reveal(), inverse}) {
    der.AddUnsigned(number);
  }
  return PrivateKey::Parse(der.Wrapped());
}

absl::StatusOr<std::unique_ptr<PrivateKey>> ReadEc(SshReader& reader) {
  ASSIGN_OR_RETURN(const std::string_view name, reader.ReadString(kWhat));
  RETURN_IF_ERROR(reader.ReadString(kWhat).status());  // The public half.
  ASSIGN_OR_RETURN(const std::string_view scalar, reader.ReadUnsigned(kWhat));
  const Curve* curve = name == "nistp256"   ? FindCurve(size_t{256})
                       : name == "nistp384" ? FindCurve(size_t{384})
                       : name == "nistp521" ? FindCurve(size_t{521})
                                            : nullptr;
  if (curve == nullptr || scalar.size() > curve->size) {
    return InvalidArgument("{} is not of a curve that is known", kWhat);
  }
  DerBuffer der;  // ECPrivateKey (RFC 5915)
  der.Add(DerSmall(1));
  der.Add(DerHeader(kDerOctetString, curve->size));
  der.Add(std::string(curve->size - scalar.size(), '\0'));
  der.Add(scalar);
  der.Add(DerWrap(DerContextConstructed(0), DerObjectId(curve->oid)));
  return PrivateKey::Parse(der.Wrapped());
}

absl::StatusOr<Secret> ReadSeed(SshReader& reader) {
  RETURN_IF_ERROR(reader.ReadString(kWhat).status());  // The public half.
  ASSIGN_OR_RETURN(const std::string_view both, reader.ReadString(kWhat));
  if (both.size() != 2 * kEd25519KeyBytes) {
    return InvalidArgument("{}: an Ed25519 key has {} bytes", kWhat, both.size());
  }
  return Secret(both.substr(0, kEd25519KeyBytes));
}

// The part that a passphrase would hide: the same check twice, then the key, a comment, padding.
absl::StatusOr<SshReader> EnterPrivatePart(SshReader& outer) {
  ASSIGN_OR_RETURN(const std::string_view cipher, outer.ReadString(kWhat));
  ASSIGN_OR_RETURN(const std::string_view derivation, outer.ReadString(kWhat));
  RETURN_IF_ERROR(outer.ReadString(kWhat).status());
  if (cipher != kNone || derivation != kNone) {
    return FailedPrecondition("{} is under a passphrase: remove it with ssh-keygen -p", kWhat);
  }
  ASSIGN_OR_RETURN(const uint32_t count, outer.ReadUint32(kWhat));
  if (count != 1) {
    return InvalidArgument("{}: {} keys in one file, wanted 1", kWhat, count);
  }
  RETURN_IF_ERROR(outer.ReadString(kWhat).status());
  ASSIGN_OR_RETURN(const std::string_view inner, outer.ReadString(kWhat));
  SshReader reader(inner);
  ASSIGN_OR_RETURN(const uint32_t first, reader.ReadUint32(kWhat));
  ASSIGN_OR_RETURN(const uint32_t second, reader.ReadUint32(kWhat));
  if (first != second) {
    return InvalidArgument("{} is damaged: its check numbers differ", kWhat);
  }
  return reader;
}

// The first block of ssh-keygen's form; an empty Secret when there is none.
absl::StatusOr<Secret> FindBlock(const Secret& text) {
  ASSIGN_OR_RETURN(std::vector<PemBlock> blocks, ParsePem(text.Reveal()));
  Secret found;
  for (PemBlock& block : blocks) {
    Secret content = Secret::TakeFrom(block.der);
    if (block.label == kLabel && found.empty()) {
      found = std::move(content);
    }
  }
  return found;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SshPrivateKey>> SshPrivateKey::ParsePem(const Secret& text) {
  ASSIGN_OR_RETURN(const Secret block, FindBlock(text));
  std::unique_ptr<PrivateKey> key;
  Secret seed;
  if (block.empty()) {
    ASSIGN_OR_RETURN(key, PrivateKey::ParsePem(text));
  } else {
    if (!block.Reveal().starts_with(kMagic)) {
      return InvalidArgument("{} is not of the form openssh-key-v1", kWhat);
    }
    SshReader outer(block.Reveal().substr(kMagic.size()));
    ASSIGN_OR_RETURN(SshReader reader, EnterPrivatePart(outer));
    ASSIGN_OR_RETURN(const std::string_view type, reader.ReadString(kWhat));
    if (type == "ssh-ed25519") {
      ASSIGN_OR_RETURN(seed, ReadSeed(reader));
    } else if (type == "ssh-rsa") {
      ASSIGN_OR_RETURN(key, ReadRsa(reader));
    } else if (type.starts_with("ecdsa-sha2-")) {
      ASSIGN_OR_RETURN(key, ReadEc(reader));
    } else {
      return InvalidArgument("{} of type {}: wanted ssh-ed25519, ecdsa-sha2-nistp or ssh-rsa",
                             kWhat, Quoted(type));
    }
  }
  if (key == nullptr) {
    ASSIGN_OR_RETURN(const std::string point, Ed25519PublicKey(seed));
    ASSIGN_OR_RETURN(SshPublicKey half,
                     SshPublicKey::Parse(SshString("ssh-ed25519") + SshString(point)));
    return std::unique_ptr<SshPrivateKey>(
        new SshPrivateKey(std::move(half), nullptr, std::move(seed)));
  }
  ASSIGN_OR_RETURN(SshPublicKey half, SshPublicKey::FromKey(key->public_key()));
  return std::unique_ptr<SshPrivateKey>(new SshPrivateKey(std::move(half), std::move(key), {}));
}

absl::StatusOr<SshSignature> SshPrivateKey::Sign(std::string_view message) const {
  if (key_ == nullptr) {
    ASSIGN_OR_RETURN(std::string blob, SignEd25519(seed_, message));
    return SshSignature{public_key_.type(), std::move(blob)};
  }
  if (key_->public_key().is_rsa()) {
    ASSIGN_OR_RETURN(
        std::string blob,
        crypto::Sign(*key_, {SignatureScheme::Kind::kRsaPkcs1, Hash::kSha512}, message));
    return SshSignature{"rsa-sha2-512", std::move(blob)};
  }
  // The hash of the curve's size, as RFC 5656 §6.2.1 has it.
  ASSIGN_OR_RETURN(const std::string der,
                   crypto::Sign(*key_, key_->public_key().DefaultScheme(), message));
  DerReader outer(der);
  ASSIGN_OR_RETURN(DerReader parts, outer.Enter(kDerSequence, "signature"));
  ASSIGN_OR_RETURN(const std::string_view r, parts.ReadUnsigned("signature"));
  ASSIGN_OR_RETURN(const std::string_view s, parts.ReadUnsigned("signature"));
  return SshSignature{public_key_.type(), SshUnsigned(r) + SshUnsigned(s)};
}

}  // namespace assay::crypto
