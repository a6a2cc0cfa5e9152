// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/signature_twins.h"

#include <algorithm>
#include <array>

#include "crypto/der_reader.h"
#include "crypto/der_writer.h"
#include "crypto/digest.h"
#include "crypto/ssh_wire.h"

namespace assay::crypto {
namespace {

// The orders n of P-256, P-384 and P-521 (SEC 2 §2.4.2, §2.5.1, §2.6.1).
constexpr std::array<std::string_view, 3> kOrders = {
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf"
    "581a0db248b0a77aecec196accc52973",
    "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
    "ffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e913864"
    "09"};

std::string Padded(std::string_view number, size_t size) {
  return std::string(size - number.size(), '\0') + std::string(number);
}

// Of big-endian numbers of one size, a not less than b.
std::string Difference(std::string_view a, std::string_view b) {
  std::string result(a.size(), '\0');
  int borrow = 0;
  for (size_t i = a.size(); i-- > 0;) {
    const int digit = static_cast<unsigned char>(a[i]) - static_cast<unsigned char>(b[i]) - borrow;
    borrow = digit < 0 ? 1 : 0;
    result[i] = static_cast<char>(digit & 0xff);
  }
  return result;
}

struct EcdsaParts {
  std::string_view r, s;
};

absl::StatusOr<EcdsaParts> PartsOfDer(std::string_view signature) {
  DerReader outer(signature);
  ASSIGN_OR_RETURN(DerReader numbers, outer.Enter(kDerSequence, "signature"));
  EcdsaParts parts;
  ASSIGN_OR_RETURN(parts.r, numbers.ReadUnsigned("signature"));
  ASSIGN_OR_RETURN(parts.s, numbers.ReadUnsigned("signature"));
  return parts;
}

absl::StatusOr<std::vector<std::string>> TwinsOfDer(std::string_view der) {
  DerReader outer(der);
  ASSIGN_OR_RETURN(DerReader certificate, outer.Enter(kDerSequence, "certificate"));
  ASSIGN_OR_RETURN(const DerElement contents, certificate.ReadAny());
  ASSIGN_OR_RETURN(const DerElement algorithm, certificate.ReadAny());
  ASSIGN_OR_RETURN(const std::string_view signature, certificate.ReadBitString("signature"));
  ASSIGN_OR_RETURN(const EcdsaParts parts, PartsOfDer(signature));
  std::vector<std::string> twins;
  for (const std::string& half : OtherHalves(parts.s)) {
    twins.push_back(DerSequence({contents.whole, algorithm.whole,
                                 DerBits(DerSequence({DerUnsigned(parts.r), DerUnsigned(half)}))}));
  }
  return twins;
}

}  // namespace

std::vector<std::string> OtherHalves(std::string_view s) {
  std::vector<std::string> halves;
  for (const std::string_view hex : kOrders) {
    const std::string order = HexDecode(hex).value();
    if (s.size() <= order.size() && Padded(s, order.size()) < order) {
      halves.push_back(Difference(order, Padded(s, order.size())));
    }
  }
  return halves;
}

std::vector<std::string> TwinsOf(const Certificate& certificate) {
  return TwinsOfDer(certificate.der()).value_or(std::vector<std::string>());
}

std::vector<std::string> TwinsOf(const SshCertificate& certificate) {
  SshReader reader(certificate.signature().blob);
  const absl::StatusOr<std::string_view> r = reader.ReadUnsigned("signature");
  const absl::StatusOr<std::string_view> s = reader.ReadUnsigned("signature");
  if (!certificate.signature().format.starts_with("ecdsa-") || !r.ok() || !s.ok()) {
    return {};
  }
  std::vector<std::string> twins;
  for (const std::string& half : OtherHalves(*s)) {
    const std::string blob = SshUnsigned(*r) + SshUnsigned(half);
    twins.push_back(certificate.signed_part() +
                    SshString(SshString(certificate.signature().format) + SshString(blob)));
  }
  return twins;
}

}  // namespace assay::crypto
