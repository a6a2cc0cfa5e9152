// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/x509pop_verifier.h"

#include <algorithm>
#include <array>
#include <map>

#include "authority/agent_path_template.h"
#include "authority/load_cas.h"
#include "base/log.h"
#include "crypto/der_writer.h"
#include "crypto/digest.h"
#include "crypto/issuers.h"
#include "crypto/json_object.h"
#include "crypto/path_validation.h"
#include "crypto/rsa_signature.h"
#include "crypto/signature_twins.h"

namespace assay {
namespace {

using crypto::Certificate;
using crypto::JsonObject;
using Kind = crypto::SignatureScheme::Kind;

constexpr std::string_view kX509Pop = "x509pop";
constexpr size_t kMaxPayloadBytes = 256 << 10;
constexpr size_t kMaxResponseBytes = 16 << 10;
// What a payload may hold before max_intermediates is asked.
constexpr size_t kMaxCertificates = 64;
constexpr size_t kNonceBytes = 32;
constexpr std::array<std::string_view, 5> kNames = {"PluginName", "Fingerprint", "SerialNumberHex",
                                                    "TrustDomain", "Subject.CommonName"};

struct Trust {
  std::vector<Certificate> cas;
  AgentPathTemplate path;
  size_t max_intermediates;
  size_t max_rsa_bits;
  TrustDomain trust_domain;
};

struct Chain {
  Certificate leaf;
  std::vector<Certificate> intermediates;
};

std::string FingerprintOf(std::string_view der) {
  return crypto::HexEncode(crypto::Digest(crypto::Hash::kSha1, der));
}

std::string SerialHex(const Certificate& certificate) {
  std::string_view bytes = certificate.serial_bytes();
  while (bytes.size() > 1 && bytes.front() == '\0') {
    bytes.remove_prefix(1);
  }
  return crypto::HexEncode(bytes);
}

absl::Status CheckRsaSize(const Certificate& certificate, size_t max_bits, std::string_view name) {
  const crypto::PublicKey& key = certificate.public_key();
  return key.is_rsa() && key.bits() > max_bits
             ? InvalidArgument("{} key size too large: {} bits, and max_rsa_key_size is {}", name,
                               key.bits(), max_bits)
             : absl::OkStatus();
}

absl::StatusOr<Chain> ParsePayload(std::string_view payload, const Trust& trust) {
  const absl::StatusOr<JsonObject> json = JsonObject::Parse(payload, kMaxPayloadBytes);
  RETURN_IF_ERROR(WithContext(json.status(), "failed to unmarshal data"));
  const absl::StatusOr<std::vector<std::string>> texts =
      json->Has("certificates") ? json->Texts("certificates", kMaxCertificates)
                                : std::vector<std::string>();
  RETURN_IF_ERROR(WithContext(texts.status(), "failed to unmarshal data"));
  if (texts->empty()) {
    return InvalidArgument("no certificate to attest");
  }
  if (texts->size() - 1 > trust.max_intermediates) {
    return InvalidArgument("too many intermediate certificates: {}, and max_intermediates is {}",
                           texts->size() - 1, trust.max_intermediates);
  }
  std::vector<Certificate> chain;
  for (const std::string& text : *texts) {
    const std::string name = chain.empty()
                                 ? "leaf certificate"
                                 : fmt::format("intermediate certificate {}", chain.size() - 1);
    const absl::StatusOr<std::string> der = crypto::Base64Decode(text);
    RETURN_IF_ERROR(WithContext(der.status(), "failed to unmarshal data"));
    absl::StatusOr<Certificate> certificate = Certificate::Parse(*der);
    RETURN_IF_ERROR(WithContext(certificate.status(), fmt::format("unable to parse {}", name)));
    RETURN_IF_ERROR(CheckRsaSize(*certificate, trust.max_rsa_bits, name));
    chain.push_back(*std::move(certificate));
  }
  return Chain{chain.front(), {chain.begin() + 1, chain.end()}};
}

// RFC 3986 §2.1; nothing when a "%" begins no byte.
std::optional<std::string> PercentDecoded(std::string_view text) {
  std::string decoded;
  for (; !text.empty(); text.remove_prefix(1)) {
    if (text.front() != '%') {
      decoded += text.front();
      continue;
    }
    const absl::StatusOr<std::string> byte =
        text.size() < 3 ? InvalidArgument("cut off") : crypto::HexDecode(text.substr(1, 2));
    if (!byte.ok()) {
      return std::nullopt;
    }
    decoded += *byte;
    text.remove_prefix(2);
  }
  return decoded;
}

// Of each URI x509pop://<trust domain>/<key>/<value>, "san:<key>:<value>"; of two with one key the
// later.
std::vector<std::string> SanSelectors(const Certificate& leaf, const TrustDomain& trust_domain) {
  const std::string prefix = fmt::format("x509pop://{}/", trust_domain.name());
  std::map<std::string, std::string> found;
  for (std::string_view uri : leaf.uris()) {
    if (!uri.starts_with(prefix)) {
      continue;
    }
    uri = uri.substr(prefix.size(), uri.find_first_of("?#") - prefix.size());
    std::string path = PercentDecoded(uri).value_or("");
    const size_t begin = std::min(path.find_first_not_of('/'), path.size());
    path = path.substr(begin, path.find_last_not_of('/') + 1 - begin);
    const size_t slash = path.find('/');
    if (slash == std::string::npos) {
      log::Warn("Cannot extract x509pop san selectors", {{"uri", Quoted(uri)}});
      continue;
    }
    found[path.substr(0, slash)] = path.substr(slash + 1);
  }
  std::vector<std::string> selectors;
  for (const auto& [key, value] : found) {
    selectors.push_back(fmt::format("san:{}:{}", key, value));
  }
  return selectors;
}

// That of a leaf, if its DER were this.
absl::StatusOr<std::string> PathOf(const Certificate& leaf, std::string_view der,
                                   const Trust& trust) {
  const std::pair<std::string_view, std::string> values[] = {
      {"PluginName", std::string(kX509Pop)},
      {"Fingerprint", FingerprintOf(der)},
      {"SerialNumberHex", SerialHex(leaf)},
      {"TrustDomain", trust.trust_domain.name()},
      {"Subject.CommonName", leaf.subject_cn()}};
  absl::StatusOr<std::string> path = trust.path.Expand(values);
  return path.ok() ? std::move(path)
                   : Internal("failed to make spiffe id: {}", Message(path.status()));
}

absl::StatusOr<VerifiedNode> NodeOf(const Chain& chain, const Trust& trust, absl::Time now) {
  VerifiedNode node;
  ASSIGN_OR_RETURN(node.agent_path, PathOf(chain.leaf, chain.leaf.der(), trust));
  for (const std::string& twin : crypto::TwinsOf(chain.leaf)) {
    ASSIGN_OR_RETURN(node.twin_paths.emplace_back(), PathOf(chain.leaf, twin, trust));
  }
  const auto add = [&node](std::string value) {
    node.selectors.push_back({std::string(kX509Pop), std::move(value)});
  };
  if (!chain.leaf.subject_cn().empty()) {
    add("subject:cn:" + chain.leaf.subject_cn());
  }
  for (const Certificate& above :
       crypto::FindIssuers(chain.leaf, chain.intermediates, trust.cas, now)) {
    add("ca:fingerprint:" + FingerprintOf(above.der()));
  }
  add("serialnumber:" + SerialHex(chain.leaf));
  for (std::string& selector : SanSelectors(chain.leaf, trust.trust_domain)) {
    add(std::move(selector));
  }
  return node;
}

class X509PopVerification final : public NodeVerification {
 public:
  explicit X509PopVerification(std::shared_ptr<const Trust> trust) : trust_(std::move(trust)) {}

  absl::StatusOr<Verdict> Begin(std::string_view payload, absl::Time now) override {
    ASSIGN_OR_RETURN(Chain chain, ParsePayload(payload, *trust_));
    const absl::Status valid = crypto::VerifyPath(chain.leaf, chain.intermediates, trust_->cas,
                                                  {.now = now, .tolerated_critical = {}});
    if (!valid.ok()) {
      return PermissionDenied("certificate verification failed: {}", Message(valid));
    }
    if ((chain.leaf.key_usage().value_or(0) & crypto::kDigitalSignature) == 0) {
      return Internal(
          "unable to generate challenge: certificate not intended for digital signature use");
    }
    ASSIGN_OR_RETURN(node_, NodeOf(chain, *trust_, now));
    key_ = chain.leaf.public_key();
    nonce_ = crypto::RandomBytes(kNonceBytes);
    const std::string part = fmt::format(R"({{"nonce":"{}"}})", crypto::Base64Encode(nonce_));
    const bool is_rsa = key_->is_rsa();
    return Verdict{.challenge = fmt::format(R"({{"rsa_signature":{},"ecdsa_signature":{}}})",
                                            is_rsa ? part : "null", is_rsa ? "null" : part),
                   .node = std::nullopt};
  }

  absl::StatusOr<Verdict> Answer(std::string_view response) override {
    const absl::StatusOr<JsonObject> json = JsonObject::Parse(response, kMaxResponseBytes);
    RETURN_IF_ERROR(WithContext(json.status(), "unable to unmarshal challenge response"));
    if (const absl::Status valid = Check(*json); !valid.ok()) {
      return PermissionDenied("challenge response verification failed: {}", Message(valid));
    }
    return Verdict{.challenge = std::nullopt, .node = std::move(node_)};
  }

 private:
  absl::Status Check(const JsonObject& response) const {
    const bool is_rsa = key_->is_rsa();
    const std::string_view member = is_rsa ? "rsa_signature" : "ecdsa_signature";
    if (!response.Has(member)) {
      return InvalidArgument("expecting {} response", is_rsa ? "RSA" : "ECDSA");
    }
    ASSIGN_OR_RETURN(const JsonObject part, response.Object(member));
    ASSIGN_OR_RETURN(const std::string own, part.Bytes("nonce"));
    if (own.size() != kNonceBytes) {
      return InvalidArgument("invalid response nonce: {} bytes, wanted {}", own.size(),
                             kNonceBytes);
    }
    if (is_rsa) {
      ASSIGN_OR_RETURN(const std::string signature, part.Bytes("signature"));
      return crypto::VerifyPssOfAnySalt(*key_, crypto::Hash::kSha256, nonce_ + own, signature);
    }
    ASSIGN_OR_RETURN(const std::string r, part.Bytes("r"));
    ASSIGN_OR_RETURN(const std::string s, part.Bytes("s"));
    return key_->Verify({Kind::kEcdsa, crypto::Hash::kSha256}, nonce_ + own,
                        crypto::DerSequence({crypto::DerUnsigned(r), crypto::DerUnsigned(s)}));
  }

  const std::shared_ptr<const Trust> trust_;
  // Set between Begin and Answer.
  std::optional<VerifiedNode> node_;
  std::optional<crypto::PublicKey> key_;
  std::string nonce_;
};

}  // namespace

const std::span<const std::string_view> kX509PopPathNames(kNames);

absl::StatusOr<std::unique_ptr<NodeVerifier>> MakeX509PopVerifier(
    const NodeVerifierOptions::X509Pop& options, const TrustDomain& trust_domain) {
  absl::StatusOr<AgentPathTemplate> path =
      AgentPathTemplate::Parse(options.agent_path_template, kNames);
  RETURN_IF_ERROR(WithContext(path.status(), "agent_path_template"));
  std::vector<Certificate> cas;
  for (const std::string& file : options.ca_bundle_paths) {
    ASSIGN_OR_RETURN(const std::vector<Certificate> more, LoadCas("ca_bundle_path", file));
    cas.insert(cas.end(), more.begin(), more.end());
  }
  return MakeVerifierOf<X509PopVerification>(
      Trust{std::move(cas), *std::move(path), static_cast<size_t>(options.max_intermediates),
            static_cast<size_t>(options.max_rsa_key_size), trust_domain});
}

}  // namespace assay
