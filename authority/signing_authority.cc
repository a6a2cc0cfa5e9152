// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/signing_authority.h"

#include <algorithm>

#include "crypto/digest.h"
#include "crypto/issue.h"

namespace assay {
namespace {

// Certificates are dated back for verifiers whose clocks are behind.
constexpr absl::Duration kBackdate = absl::Seconds(10);
constexpr size_t kKeyIdLetters = 32;

// Letters and digits, each equally likely.
std::string RandomKeyId() {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  constexpr size_t kUnbiased = 256 - 256 % kLetters.size();
  std::string id;
  while (id.size() < kKeyIdLetters) {
    for (const char byte : crypto::RandomBytes(kKeyIdLetters)) {
      const size_t number = static_cast<unsigned char>(byte);
      if (number < kUnbiased && id.size() < kKeyIdLetters) {
        id += kLetters[number % kLetters.size()];
      }
    }
  }
  return id;
}

// The big-endian number in decimal.
std::string Decimal(std::string_view bytes) {
  std::string digits = "0";  // Least significant first.
  for (const char byte : bytes) {
    unsigned carry = static_cast<unsigned char>(byte);
    for (char& digit : digits) {
      carry += 256 * static_cast<unsigned>(digit - '0');
      digit = static_cast<char>('0' + carry % 10);
      carry /= 10;
    }
    for (; carry != 0; carry /= 10) {
      digits += static_cast<char>('0' + carry % 10);
    }
  }
  std::reverse(digits.begin(), digits.end());
  return digits;
}

absl::StatusOr<crypto::Certificate> SelfSign(const crypto::PrivateKey& key,
                                             const AuthorityOptions& options, absl::Time now) {
  crypto::CertificateTemplate root;
  root.serial = crypto::RandomSerial();
  root.subject = {{"C", "US"}, {"O", "SPIFFE"}, {"SERIALNUMBER", Decimal(root.serial)}};
  root.not_before = now - kBackdate;
  root.not_after = now + options.ca_ttl;
  root.uris = {options.trust_domain.IdString()};
  root.is_ca = true;
  root.key_usage = crypto::kKeyCertSign | crypto::kCrlSign;
  ASSIGN_OR_RETURN(const std::string der,
                   crypto::IssueCertificate(root, key.public_key(), nullptr, key));
  return crypto::Certificate::Parse(der);
}

}  // namespace

absl::StatusOr<SigningAuthority> MakeSigningAuthority(SigningAuthority::Kind kind,
                                                      const AuthorityOptions& options,
                                                      absl::Time now) {
  const bool is_x509 = kind == SigningAuthority::Kind::kX509;
  ASSIGN_OR_RETURN(
      std::shared_ptr<const crypto::PrivateKey> key,
      crypto::PrivateKey::Generate(is_x509 ? options.ca_key_type : options.JwtKeyType()));
  SigningAuthority made{.kind = kind,
                        .stage = SigningAuthority::Stage::kPrepared,
                        .id = RandomKeyId(),
                        .public_key = key->public_key(),
                        .issued_at = now,
                        .expires_at = now + options.ca_ttl,
                        .key = key};
  if (is_x509) {
    ASSIGN_OR_RETURN(made.certificate, SelfSign(*key, options, now));
    made.id = crypto::HexEncode(made.certificate->subject_key_id());
    made.expires_at = made.certificate->not_after();
  }
  return made;
}

}  // namespace assay
