// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/k8s_psat.h"

#include "attestors/node/operator_error.h"
#include "attestors/node/shown_attestation.h"
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

Secret PayloadOf(const std::string& cluster, const Secret& token) {
  constexpr size_t kLongestEscape = 6;
  std::string json;
  json.reserve(kLongestEscape * (cluster.size() + token.size()) + 64);
  json += R"({"cluster":)";
  AppendJsonString(cluster, json);
  json += R"(,"token":)";
  AppendJsonString(token.Reveal(), json);
  json += '}';
  return Secret::TakeFrom(json);
}

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
  return std::make_unique<ShownAttestation>(type(), PayloadOf(options_.cluster, *token));
}

}  // namespace assay
