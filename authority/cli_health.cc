// SPDX-License-Identifier: GPL-3.0-or-later
// healthcheck.
#include <ostream>

#include "authority/cli_client.h"
#include "authority/cli_command.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace assay {
namespace {

namespace health = grpc::health::v1;

class CheckHealth final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override {
    flags.Add("shallow", shallow_, "A less stringent check (accepted; the check is the same)");
    flags.Add("verbose", verbose_, "Print verbose information");
  }

  absl::Status Run(const CliContext& context) override {
    if (verbose_) {
      context.streams.out << "Checking server health...\n";
    }
    const auto response =
        context.api.Call(&health::Health::Stub::Check, health::HealthCheckRequest());
    if (!response.ok()) {
      if (verbose_) {
        context.streams.err << fmt::format("Failed to check health: {}\n",
                                           Message(response.status()));
      }
      return Unavailable("server is unhealthy: unable to determine health");
    }
    if (response->status() != health::HealthCheckResponse::SERVING) {
      return Unavailable("server is unhealthy: server returned status \"{}\"",
                         health::HealthCheckResponse::ServingStatus_Name(response->status()));
    }
    context.streams.out << "Server is healthy.\n";
    return absl::OkStatus();
  }

 private:
  bool shallow_ = false;
  bool verbose_ = false;
};

}  // namespace

std::vector<CliEntry> HealthCommands() {
  return {{"", "healthcheck", "Determines server health status", &MakeCommand<CheckHealth>}};
}

}  // namespace assay
