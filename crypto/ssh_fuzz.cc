// SPDX-License-Identifier: GPL-3.0-or-later
// Foreign bytes as an SSH key, certificate, signature and private key: none may crash, and what
// parses must parse again to the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "crypto/pem.h"
#include "crypto/signature_twins.h"
#include "crypto/ssh_certificate.h"
#include "crypto/ssh_key.h"

namespace assay::crypto {
namespace {

void Require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

void Try(std::string_view bytes) {
  const absl::StatusOr<SshPublicKey> key = SshPublicKey::Parse(bytes);
  if (key.ok()) {
    Require(key->blob() == bytes && SshPublicKey::Parse(key->blob()) == key);
    (void)key->VerifyFresh("message", {key->type(), std::string(bytes)});
  }
  const absl::StatusOr<SshCertificate> certificate = SshCertificate::Parse(bytes);
  if (certificate.ok()) {
    Require(certificate->blob() == bytes);
    (void)TwinsOf(*certificate);
    (void)certificate->CheckHost({certificate->authority()}, absl::FromUnixSeconds(1'800'000'000));
  }
  (void)SshPublicKey::ParseLine(bytes);
  (void)SshCertificate::ParseLine(bytes);
  (void)SshPrivateKey::ParsePem(Secret(bytes));
  (void)SshPrivateKey::ParsePem(Secret(PemEncode("OPENSSH PRIVATE KEY", bytes)));
}

}  // namespace
}  // namespace assay::crypto

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  assay::crypto::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
