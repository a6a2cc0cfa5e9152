// SPDX-License-Identifier: GPL-3.0-or-later
// Foreign bytes as a certificate, a chain, a certification request, a PEM text, a private key and a
// signature: none may crash, and what parses must parse again to the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "crypto/certificate.h"
#include "crypto/issue.h"
#include "crypto/key.h"
#include "crypto/path_validation.h"
#include "crypto/pem.h"
#include "crypto/signature_twins.h"

namespace assay::crypto {
namespace {

void Require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

void TryCertificates(std::string_view bytes) {
  const absl::StatusOr<std::vector<Certificate>> chain = Certificate::ParseConcatenated(bytes);
  if (!chain.ok()) {
    return;
  }
  Require(Concatenate(*chain) == bytes);
  const Certificate& leaf = chain->front();
  Require(Certificate::Parse(leaf.der())->der() == leaf.der());
  (void)leaf.SubjectText();
  (void)TwinsOf(leaf);
  (void)VerifyPath(leaf, *chain, *chain, {.now = leaf.not_after(), .tolerated_critical = {}});
}

void TryPem(std::string_view text) {
  const absl::StatusOr<std::vector<PemBlock>> blocks = ParsePem(text);
  if (!blocks.ok()) {
    return;
  }
  std::string again;
  for (const PemBlock& block : *blocks) {
    again += PemEncode(block.label, block.der);
    TryCertificates(block.der);
  }
  Require(ParsePem(again)->size() == blocks->size());
}

void TryKeys(std::string_view bytes) {
  const absl::StatusOr<PublicKey> key = PublicKey::ParseSpki(bytes);
  if (key.ok()) {
    Require(PublicKey::ParseSpki(key->spki()) == key);
    (void)key->Verify(key->DefaultScheme(), "message", bytes);
  }
  (void)PrivateKey::Parse(Secret(bytes));
}

}  // namespace
}  // namespace assay::crypto

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  assay::crypto::TryCertificates(bytes);
  (void)assay::crypto::CertificateRequest::Parse(bytes);
  assay::crypto::TryPem(bytes);
  assay::crypto::TryKeys(bytes);
  return 0;
}
