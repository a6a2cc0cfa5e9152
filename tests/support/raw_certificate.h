// SPDX-License-Identifier: GPL-3.0-or-later
// Certificates that no issuer of ours would make: every extension is given as raw DER, so that each
// rule of a validator can be broken alone.
#pragma once

#include <absl/time/time.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/certificate.h"
#include "crypto/key.h"

namespace assay::raw {

// One DER element.
inline std::string Der(unsigned char tag, std::string_view content) {
  std::string der(1, static_cast<char>(tag));
  const size_t size = content.size();
  if (size >= 0x100) {
    der += {'\x82', static_cast<char>(size >> 8)};
  } else if (size >= 0x80) {
    der += '\x81';
  }
  der += static_cast<char>(size & 0xff);
  der += content;
  return der;
}

struct Extension {
  std::string_view oid;  // DER content of the identifier.
  bool critical;
  std::string value;  // DER.
};

constexpr std::string_view kSubjectKeyId = "\x55\x1d\x0e";
constexpr std::string_view kKeyUsage = "\x55\x1d\x0f";
constexpr std::string_view kSubjectAltName = "\x55\x1d\x11";
constexpr std::string_view kBasicConstraints = "\x55\x1d\x13";
constexpr std::string_view kNameConstraints = "\x55\x1d\x1e";
constexpr std::string_view kExtendedKeyUsage = "\x55\x1d\x25";
constexpr std::string_view kUnheardOf = "\x2a\x03\x04\x05";

// The first eight bits of key usage, digitalSignature being the highest.
inline Extension KeyUsage(unsigned char bits, bool critical = true) {
  int unused = 0;
  while (bits != 0 && unused < 7 && ((bits >> unused) & 1) == 0) {
    ++unused;
  }
  return {kKeyUsage, critical,
          Der(0x03, std::string{static_cast<char>(unused), static_cast<char>(bits)})};
}
constexpr unsigned char kSign = 0x80, kEncipher = 0x20, kAgree = 0x08, kCertSign = 0x04,
                        kCrlSign = 0x02;

// path_length below 0: none.
inline Extension BasicConstraints(bool is_ca, int path_length = -1) {
  std::string value = is_ca ? Der(0x01, "\xff") : "";
  if (path_length >= 0) {
    value += Der(0x02, std::string(1, static_cast<char>(path_length)));
  }
  return {kBasicConstraints, true, Der(0x30, value)};
}

inline std::string Uri(std::string_view uri) { return Der(0x86, uri); }
inline std::string Dns(std::string_view name) { return Der(0x82, name); }

inline Extension AltNames(std::initializer_list<std::string> names, bool critical = false) {
  std::string value;
  for (const std::string& name : names) {
    value += name;
  }
  return {kSubjectAltName, critical, Der(0x30, value)};
}

// The last byte of purposes under id-kp: 1 server, 2 client, 3 code signing.
inline Extension Purposes(std::initializer_list<char> purposes, bool critical = false) {
  std::string value;
  for (char purpose : purposes) {
    value += Der(0x06, std::string("\x2b\x06\x01\x05\x05\x07\x03") + purpose);
  }
  return {kExtendedKeyUsage, critical, Der(0x30, value)};
}

// Permitted URI hosts.
inline Extension PermittedHosts(std::initializer_list<std::string> hosts) {
  std::string subtrees;
  for (const std::string& host : hosts) {
    subtrees += Der(0x30, Uri(host));
  }
  return {kNameConstraints, true, Der(0x30, Der(0xa0, subtrees))};
}

struct Certificate {
  std::string subject;  // Common name; empty: the empty name.
  std::string issuer;
  absl::Time not_before, not_after;
  std::vector<Extension> extensions;
};

inline std::string Name(std::string_view common_name) {
  if (common_name.empty()) {
    return Der(0x30, "");
  }
  return Der(0x30, Der(0x31, Der(0x30, Der(0x06, "\x55\x04\x03") + Der(0x0c, common_name))));
}

inline std::string Time(absl::Time time) {
  return Der(0x18, absl::FormatTime("%Y%m%d%H%M%SZ", time, absl::UTCTimeZone()));
}

inline std::string Extensions(const std::vector<Extension>& extensions) {
  std::string list;
  for (const Extension& extension : extensions) {
    list += Der(0x30, Der(0x06, extension.oid) + (extension.critical ? Der(0x01, "\xff") : "") +
                          Der(0x04, extension.value));
  }
  return list.empty() ? list : Der(0xa3, Der(0x30, list));
}

// DER of the certificate for key, signed with an EC P-256 signer.
inline std::string Sign(const Certificate& what, const crypto::PublicKey& key,
                        const crypto::Signer& signer) {
  const std::string algorithm = Der(0x30, Der(0x06, "\x2a\x86\x48\xce\x3d\x04\x03\x02"));
  // A year before 2050 is to be UTCTime (RFC 5280 §4.1.2.5).
  const auto validity = [](absl::Time time) {
    return time < absl::FromUnixSeconds(2524608000)
               ? Der(0x17, absl::FormatTime("%y%m%d%H%M%SZ", time, absl::UTCTimeZone()))
               : Time(time);
  };
  const std::string tbs =
      Der(0x30, Der(0xa0, Der(0x02, "\x02")) + Der(0x02, "\x11") + algorithm + Name(what.issuer) +
                    Der(0x30, validity(what.not_before) + validity(what.not_after)) +
                    Name(what.subject) + key.spki() + Extensions(what.extensions));
  const std::string signature =
      crypto::Sign(signer, signer.public_key().DefaultScheme(), tbs).value();
  return Der(0x30, tbs + algorithm + Der(0x03, std::string(1, '\0') + signature));
}

}  // namespace assay::raw
