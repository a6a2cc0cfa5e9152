// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/sshpop_verifier.h"

#include <algorithm>
#include <array>

#include "authority/agent_path_template.h"
#include "base/files.h"
#include "base/trimmed.h"
#include "crypto/digest.h"
#include "crypto/json_object.h"
#include "crypto/signature_twins.h"
#include "crypto/ssh_certificate.h"

namespace assay {
namespace {

using crypto::JsonObject;
using crypto::SshCertificate;
using crypto::SshPublicKey;

constexpr std::string_view kSshPop = "sshpop";
constexpr size_t kMaxPayloadBytes = 64 << 10;
constexpr size_t kMaxResponseBytes = 16 << 10;
constexpr size_t kNonceBytes = 32;
constexpr std::array<std::string_view, 3> kNames = {"PluginName", "Fingerprint", "Hostname"};

struct Trust {
  std::vector<SshPublicKey> authorities;
  AgentPathTemplate path;
  std::string canonical_domain;
};

absl::StatusOr<SshCertificate> ParsePayload(std::string_view payload) {
  const absl::StatusOr<JsonObject> json = JsonObject::Parse(payload, kMaxPayloadBytes);
  RETURN_IF_ERROR(WithContext(json.status(), "failed to unmarshal data"));
  if (!json->Has("Certificate")) {
    return InvalidArgument("no certificate in response");
  }
  const absl::StatusOr<std::string> blob = json->Bytes("Certificate");
  RETURN_IF_ERROR(WithContext(blob.status(), "failed to unmarshal data"));
  absl::StatusOr<SshCertificate> certificate = SshCertificate::Parse(*blob);
  RETURN_IF_ERROR(WithContext(certificate.status(), "failed to parse public key"));
  return certificate;
}

// The first principal without the domain that it must be in.
absl::StatusOr<std::string> HostOf(const SshCertificate& certificate, const std::string& domain) {
  if (certificate.principals().empty() || certificate.principals().front().empty()) {
    return InvalidArgument("cert has no valid principals");
  }
  const std::string& name = certificate.principals().front();
  if (domain.empty()) {
    return name;
  }
  const std::string suffix = "." + domain;
  if (!name.ends_with(suffix)) {
    return PermissionDenied("failed to decanonicalize hostname: cert principal is not in domain {}",
                            Quoted(suffix));
  }
  return name.substr(0, name.size() - suffix.size());
}

class SshPopVerification final : public NodeVerification {
 public:
  explicit SshPopVerification(std::shared_ptr<const Trust> trust) : trust_(std::move(trust)) {}

  absl::StatusOr<Verdict> Begin(std::string_view payload, absl::Time now) override {
    ASSIGN_OR_RETURN(SshCertificate certificate, ParsePayload(payload));
    RETURN_IF_ERROR(
        WithContext(certificate.CheckHost(trust_->authorities, now), "failed to check host key"));
    ASSIGN_OR_RETURN(const std::string host, HostOf(certificate, trust_->canonical_domain));
    VerifiedNode node;
    ASSIGN_OR_RETURN(node.agent_path, PathOf(certificate.blob(), host));
    for (const std::string& twin : crypto::TwinsOf(certificate)) {
      ASSIGN_OR_RETURN(node.twin_paths.emplace_back(), PathOf(twin, host));
    }
    node_ = std::move(node);
    key_ = certificate.key();
    nonce_ = crypto::RandomBytes(kNonceBytes);
    return Verdict{.challenge = fmt::format(R"({{"Nonce":"{}"}})", crypto::Base64Encode(nonce_)),
                   .node = std::nullopt};
  }

  absl::StatusOr<Verdict> Answer(std::string_view response) override {
    const absl::StatusOr<JsonObject> json = JsonObject::Parse(response, kMaxResponseBytes);
    RETURN_IF_ERROR(WithContext(json.status(), "failed to unmarshal challenge response"));
    RETURN_IF_ERROR(WithContext(Check(*json), "failed to verify signature"));
    return Verdict{.challenge = std::nullopt, .node = std::move(node_)};
  }

 private:
  // That of a certificate of these bytes, for this host.
  absl::StatusOr<std::string> PathOf(std::string_view blob, const std::string& host) const {
    const std::pair<std::string_view, std::string> values[] = {
        {"PluginName", std::string(kSshPop)},
        {"Fingerprint", crypto::Base64UrlEncode(crypto::Digest(crypto::Hash::kSha256, blob))},
        {"Hostname", host}};
    absl::StatusOr<std::string> path = trust_->path.Expand(values);
    RETURN_IF_ERROR(WithContext(path.status(), "failed to create AgentID"));
    return path;
  }

  absl::Status Check(const JsonObject& response) const {
    ASSIGN_OR_RETURN(const std::string own, response.Bytes("Nonce"));
    if (own.size() != kNonceBytes) {
      return InvalidArgument("invalid response nonce size: {}, wanted {}", own.size(), kNonceBytes);
    }
    ASSIGN_OR_RETURN(const JsonObject part, response.Object("Signature"));
    ASSIGN_OR_RETURN(std::string format, part.Text("Format"));
    ASSIGN_OR_RETURN(std::string blob, part.Bytes("Blob"));
    return key_->VerifyFresh(crypto::Digest(crypto::Hash::kSha256, nonce_ + own),
                             {std::move(format), std::move(blob)});
  }

  const std::shared_ptr<const Trust> trust_;
  // Set between Begin and Answer.
  std::optional<VerifiedNode> node_;
  std::optional<SshPublicKey> key_;
  std::string nonce_;
};

// Its lines, but for empty ones and comments.
absl::Status AddKeysOf(const std::string& path, std::vector<std::string>& lines) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    if (const std::string_view line = Trimmed(rest.substr(0, end));
        !line.empty() && line.front() != '#') {
      lines.emplace_back(line);
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return absl::OkStatus();
}

}  // namespace

const std::span<const std::string_view> kSshPopPathNames(kNames);

absl::StatusOr<std::unique_ptr<NodeVerifier>> MakeSshPopVerifier(
    const NodeVerifierOptions::SshPop& options) {
  absl::StatusOr<AgentPathTemplate> path =
      AgentPathTemplate::Parse(options.agent_path_template, kNames);
  RETURN_IF_ERROR(WithContext(path.status(), "agent_path_template"));
  std::vector<std::string> lines = options.cert_authorities;
  if (!options.cert_authorities_path.empty()) {
    RETURN_IF_ERROR(
        WithContext(AddKeysOf(options.cert_authorities_path, lines), "cert_authorities_path"));
  }
  Trust trust{{}, *std::move(path), options.canonical_domain};
  for (const std::string& line : lines) {
    absl::StatusOr<SshPublicKey> key = SshPublicKey::ParseLine(line);
    RETURN_IF_ERROR(
        WithContext(key.status(), fmt::format("failed to parse public key {}", Quoted(line))));
    trust.authorities.push_back(*std::move(key));
  }
  if (trust.authorities.empty()) {
    return FailedPrecondition("must provide at least one cert authority");
  }
  return MakeVerifierOf<SshPopVerification>(std::move(trust));
}

}  // namespace assay
