// SPDX-License-Identifier: GPL-3.0-or-later
// token generate.
#include <ostream>

#include "authority/cli_client.h"
#include "authority/cli_command.h"
#include "authority/cli_output.h"
#include "spire/api/server/agent/v1/agent.grpc.pb.h"

namespace assay {
namespace {

namespace agent_api = spire::api::server::agent::v1;

class GenerateToken final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override {
    flags.Add("ttl", ttl_, "How long the token can be used, in seconds");
    flags.Add("spiffeID", spiffe_id_, "A SPIFFE ID that the node gets as an alias (optional)");
  }

  absl::Status Run(const CliContext& context) override {
    agent_api::CreateJoinTokenRequest request;
    if (!spiffe_id_.empty()) {
      ASSIGN_OR_RETURN(*request.mutable_agent_id(), ParseIdFlag(spiffe_id_));
    }
    ASSIGN_OR_RETURN(const int32_t ttl, ToInt32(ttl_, "TTL"));
    request.set_ttl(ttl);
    ASSIGN_OR_RETURN(const auto token,
                     context.api.Call(&agent_api::Agent::Stub::CreateJoinToken, request));
    std::ostream& out = context.streams.out;
    if (context.format == OutputFormat::kJson) {
      out << ToJsonLine(token);
      return absl::OkStatus();
    }
    out << fmt::format("Token: {}\n", token.value());
    out << (spiffe_id_.empty() ? "Warning: Missing SPIFFE ID.\n" : "");
    return absl::OkStatus();
  }

 private:
  int64_t ttl_ = 600;
  std::string spiffe_id_;
};

}  // namespace

std::vector<CliEntry> TokenCommands() {
  return {{"token", "generate", "Generates a join token", &MakeCommand<GenerateToken>}};
}

}  // namespace assay
