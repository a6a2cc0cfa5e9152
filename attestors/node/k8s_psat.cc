// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/k8s_psat.h"

#include "attestors/node/operator_error.h"
#include "base/files.h"

namespace assay {
namespace {

constexpr size_t kMaxTokenBytes = 64 << 10;

// A string of JSON (RFC 8259 §7), of bytes that leave no copy behind: out has room for them.
void AppendJsonString(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

class K8sPsatAttestation final : public NodeAttestation {
 public:
  K8sPsatAttestation(std::string cluster, Secret token)
      : cluster_(std::move(cluster)), token_(std::move(token)) {}

  absl::StatusOr<Secret> Payload() override {
    constexpr size_t kLongestEscape = 6;
    std::string json;
    json.reserve(kLongestEscape * (cluster_.size() + token_.size()) + 64);
    json += R"({"cluster":)";
    AppendJsonString(cluster_, json);
    json += R"(,"token":)";
    AppendJsonString(token_.Reveal(), json);
    json += '}';
    return Secret::TakeFrom(json);
  }
  absl::StatusOr<std::string> Answer(std::string_view) override {
    return InvalidArgument("the upstream sent a challenge, which k8s_psat attestation has not");
  }

 private:
  const std::string cluster_;
  const Secret token_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<NodeAttestation>> K8sPsatAttestor::Begin() {
  absl::StatusOr<Secret> token = ReadSecretFile(options_.token_path, kMaxTokenBytes);
  if (!token.ok()) {
    return ForOperator(MakeStatus(
        token.status().code(),
        fmt::format("unable to load token from {}: {}; have the pod project a service account "
                    "token there that the agent's user may read, or set token_path",
                    options_.token_path, Message(token.status()))));
  }
  if (token->empty()) {
    return FailedPrecondition("unable to load token from {0}: {0} is empty", options_.token_path);
  }
  return std::make_unique<K8sPsatAttestation>(options_.cluster, *std::move(token));
}

}  // namespace assay
