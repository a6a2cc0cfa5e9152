// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/http_challenge.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "attestors/node/challenge_server.h"
#include "crypto/json_object.h"

namespace assay {
namespace {

constexpr size_t kMaxChallengeBytes = 4096;
// Of which the upstream reads no more.
constexpr size_t kMaxNonceBytes = 64;

absl::StatusOr<std::string> OwnHostname() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0) {
    return ErrnoStatus(errno, "unable to fetch hostname: set hostname of http_challenge");
  }
  return std::string(name);
}

class HttpChallengeAttestation final : public NodeAttestation {
 public:
  HttpChallengeAttestation(HttpChallengeOptions options, std::unique_ptr<ChallengeServer> server)
      : options_(std::move(options)), server_(std::move(server)) {}

  absl::StatusOr<Secret> Payload() override {
    const uint16_t port =
        options_.advertised_port != 0 ? options_.advertised_port : server_->port();
    const nlohmann::json payload = {
        {"hostname", options_.hostname}, {"agentname", options_.agentname}, {"port", port}};
    return Secret(payload.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }

  absl::StatusOr<std::string> Answer(std::string_view challenge) override {
    const absl::StatusOr<crypto::JsonObject> json =
        crypto::JsonObject::Parse(challenge, kMaxChallengeBytes);
    RETURN_IF_ERROR(WithContext(json.status(), "the challenge"));
    const absl::StatusOr<std::string> nonce = json->Text("nonce");
    RETURN_IF_ERROR(WithContext(nonce.status(), "the challenge"));
    const bool is_plain = std::all_of(nonce->begin(), nonce->end(), [](char c) {
      return (std::isalnum(static_cast<unsigned char>(c)) != 0) || c == '-' || c == '_' ||
             c == '=' || c == '+' || c == '/';
    });
    if (nonce->empty() || nonce->size() > kMaxNonceBytes || !is_plain) {
      return InvalidArgument("the challenge's nonce is not base64 of at most {} bytes",
                             kMaxNonceBytes);
    }
    if (is_serving_) {
      return InvalidArgument("the upstream sent a second challenge");
    }
    is_serving_ = true;
    RETURN_IF_ERROR(
        server_->Serve(fmt::format("/.well-known/spiffe/nodeattestor/http_challenge/{}/challenge",
                                   options_.agentname),
                       *nonce + "\n"));
    return "\n";  // That the nonce is there to be fetched; an empty answer would be none.
  }

 private:
  const HttpChallengeOptions options_;
  const std::unique_ptr<ChallengeServer> server_;
  bool is_serving_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<NodeAttestation>> HttpChallengeAttestor::Begin() {
  HttpChallengeOptions options = options_;
  if (options.hostname.empty()) {
    ASSIGN_OR_RETURN(options.hostname, OwnHostname());
  }
  absl::StatusOr<std::unique_ptr<ChallengeServer>> server = ChallengeServer::Listen(options.port);
  if (absl::IsPermissionDenied(server.status())) {
    return FailedPrecondition(
        "{}: the agent's user may not use ports below 1024; choose a higher one and forward to it "
        "(advertised_port says which the upstream asks), or lower the machine's "
        "net.ipv4.ip_unprivileged_port_start",
        Message(server.status()));
  }
  RETURN_IF_ERROR(server.status());
  return std::make_unique<HttpChallengeAttestation>(std::move(options), *std::move(server));
}

}  // namespace assay
