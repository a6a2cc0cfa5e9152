// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/http_challenge_verifier.h"

#include <arpa/inet.h>
#include <re2/re2.h>

#include <algorithm>
#include <cctype>

#include "base/log.h"
#include "base/trimmed.h"
#include "crypto/digest.h"
#include "crypto/json_object.h"

namespace assay {
namespace {

using crypto::JsonObject;

constexpr std::string_view kHttpChallenge = "http_challenge";
constexpr size_t kMaxPayloadBytes = 4096;
constexpr size_t kMaxHostBytes = 253;  // Of a DNS name (RFC 1035 §2.3.4).
constexpr size_t kMaxNameBytes = 32;
constexpr size_t kNonceBytes = 32;
constexpr int64_t kFirstFreePort = 1024;
constexpr int64_t kLastPort = 65535;

struct Rules {
  NodeVerifierOptions::HttpChallenge options;
  std::vector<std::unique_ptr<const RE2>> patterns;
  FetchChallenge fetch;
};

struct Claim {
  std::string host, agent;
  int64_t port = 0;
};

bool IsLetterOrDigit(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

absl::Status CheckAgentName(std::string_view name) {
  const bool is_valid =
      !name.empty() && name.size() <= kMaxNameBytes &&
      std::isalpha(static_cast<unsigned char>(name.front())) != 0 &&
      std::all_of(name.begin(), name.end(), [](char c) { return IsLetterOrDigit(c) || c == '-'; });
  return is_valid ? absl::OkStatus() : InvalidArgument("agent name is not valid: {}", Quoted(name));
}

// What resolvers take for a number, in any of the forms of inet_aton(3), ends in one.
bool EndsInNumber(std::string_view host) {
  const std::string_view last = host.substr(host.rfind('.') + 1);
  return last.starts_with("0x") || last.find_first_not_of("0123456789") == last.npos;
}

// What is put into a URL and into a SPIFFE ID must be a name and nothing else, and a host have one
// name: lower case, no dot at the end, an IPv4 address in its usual form.
absl::Status CheckHost(const std::string& host, const Rules& rules) {
  in_addr address{};
  if (host.empty() || host.size() > kMaxHostBytes || !IsLetterOrDigit(host.front()) ||
      !IsLetterOrDigit(host.back()) || host.find("..") != host.npos ||
      !std::all_of(host.begin(), host.end(),
                   [](char c) { return IsLetterOrDigit(c) || c == '-' || c == '.' || c == '_'; }) ||
      (EndsInNumber(host) && inet_pton(AF_INET, host.c_str(), &address) != 1)) {
    return InvalidArgument("hostname is not valid: {}", Quoted(host));
  }
  if (host == "localhost") {
    return PermissionDenied("you can not use localhost as a hostname");
  }
  const bool is_allowed =
      rules.patterns.empty() ||
      std::any_of(rules.patterns.begin(), rules.patterns.end(), [&host](const auto& pattern) {
        return RE2::PartialMatch(re2::StringPiece(host.data(), host.size()), *pattern);
      });
  return is_allowed ? absl::OkStatus()
                    : PermissionDenied("the requested hostname is not allowed to connect: {}",
                                       Quoted(host));
}

absl::Status CheckPort(int64_t port, const NodeVerifierOptions::HttpChallenge& options) {
  if (port <= 0 || port > kLastPort) {
    return InvalidArgument("port is invalid: {}", port);
  }
  if (options.required_port.has_value() && port != *options.required_port) {
    return InvalidArgument("port {} is not allowed to be used by this server", port);
  }
  if (!options.allow_non_root_ports && port >= kFirstFreePort) {
    return InvalidArgument("port {} is not allowed to be >= {}", port, kFirstFreePort);
  }
  return absl::OkStatus();
}

absl::StatusOr<Claim> ParsePayload(std::string_view payload) {
  ASSIGN_OR_RETURN(const JsonObject json, JsonObject::Parse(payload, kMaxPayloadBytes));
  Claim claim;
  ASSIGN_OR_RETURN(claim.host, json.Text("hostname"));
  std::transform(claim.host.begin(), claim.host.end(), claim.host.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  ASSIGN_OR_RETURN(claim.agent, json.Text("agentname"));
  ASSIGN_OR_RETURN(claim.port, json.Integer("port"));
  return claim;
}

class HttpChallengeVerification final : public NodeVerification {
 public:
  explicit HttpChallengeVerification(std::shared_ptr<const Rules> rules)
      : rules_(std::move(rules)) {}

  absl::StatusOr<Verdict> Begin(std::string_view payload, absl::Time) override {
    absl::StatusOr<Claim> claim = ParsePayload(payload);
    RETURN_IF_ERROR(WithContext(claim.status(), "failed to unmarshal data"));
    RETURN_IF_ERROR(CheckPort(claim->port, rules_->options));
    RETURN_IF_ERROR(CheckAgentName(claim->agent));
    RETURN_IF_ERROR(CheckHost(claim->host, *rules_));
    claim_ = *std::move(claim);
    std::string nonce = crypto::Base64UrlEncode(crypto::RandomBytes(kNonceBytes));
    nonce_ = nonce + "=";  // Padded, as the reference's.
    return Verdict{.challenge = fmt::format(R"({{"nonce":"{}"}})", nonce_),
                   .node = std::nullopt,
                   .asks = fmt::format("{}:{}", claim_.host, claim_.port)};
  }

  void Cancel() override { cancelled_ = true; }

  // What the response says does not matter: it only tells that the nonce is there.
  absl::StatusOr<Verdict> Answer(std::string_view) override {
    if (cancelled_) {
      return absl::CancelledError("nobody waits for the attestation");
    }
    const std::string url =
        fmt::format("http://{}:{}/.well-known/spiffe/nodeattestor/http_challenge/{}/challenge",
                    claim_.host, claim_.port, claim_.agent);
    const absl::StatusOr<std::string> found = rules_->fetch(url, cancelled_);
    if (absl::IsCancelled(found.status())) {
      return found.status();
    }
    if (!found.ok() || Trimmed(*found) != nonce_) {
      log::Warn("challenge verification failed",
                {{"url", url},
                 {"error", found.ok() ? "another text is there" : Message(found.status())}});
      // Nothing of what is there: whoever asks could look around in this network.
      return PermissionDenied(
          "challenge verification failed: the nonce was not found at the host's name");
    }
    const bool tofu = rules_->options.tofu;
    return Verdict{.challenge = std::nullopt,
                   .node = VerifiedNode{
                       .agent_path = fmt::format("/spire/agent/{}/{}", kHttpChallenge, claim_.host),
                       .selectors = {{std::string(kHttpChallenge), "hostname:" + claim_.host}},
                       .can_reattest = !tofu,
                       .only_once = tofu}};
  }

 private:
  const std::shared_ptr<const Rules> rules_;
  std::atomic<bool> cancelled_ = false;
  // Set between Begin and Answer.
  Claim claim_;
  std::string nonce_;
};

std::unique_ptr<const RE2> Compiled(const std::string& pattern) {
  return std::make_unique<const RE2>(pattern, RE2::Quiet);
}

}  // namespace

absl::Status CheckDnsPattern(const std::string& pattern) {
  const auto compiled = Compiled(pattern);
  return compiled->ok() ? absl::OkStatus()
                        : InvalidArgument("cannot compile allowed_dns_pattern: {}, {}",
                                          Quoted(pattern), compiled->error());
}

absl::StatusOr<std::unique_ptr<NodeVerifier>> MakeHttpChallengeVerifier(
    const NodeVerifierOptions::HttpChallenge& options, FetchChallenge fetch) {
  Rules rules{options, {}, std::move(fetch)};
  for (const std::string& pattern : options.allowed_dns_patterns) {
    RETURN_IF_ERROR(CheckDnsPattern(pattern));
    rules.patterns.push_back(Compiled(pattern));
  }
  return MakeVerifierOf<HttpChallengeVerification>(std::move(rules));
}

}  // namespace assay
