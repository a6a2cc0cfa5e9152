// SPDX-License-Identifier: GPL-3.0-or-later
// The command line of assay-authority: `run` and `validate` for the authority itself, and the
// commands that ask a running upstream over its socket. Verbs, flags, output and exit codes are
// those of SPIRE Server's command line.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "authority/cli_command.h"
#include "authority/options.h"
#include "base/clock.h"
#include "base/status.h"

namespace assay {

constexpr std::string_view kDefaultServerSocket = "/tmp/spire-server/private/api.sock";
constexpr std::string_view kDefaultServerConfig = "conf/server/server.conf";

// What the command line is given by its process.
struct CliHost {
  CliStreams streams;
  const Clock& clock;
  // SPIRE_SERVER_PRIVATE_SOCKET: the socket when no flag names one; empty: the default.
  std::string socket;
  // SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE: the socket of -instance NAME, which stands for "%i".
  std::string socket_template;
  // Becomes the authority, until it is told to end.
  std::function<absl::Status(const AuthorityOptions&)> serve;
};

// The exit code: 0 done, 1 failed, 127 no such command.
int RunCli(const std::vector<std::string>& arguments, const CliHost& host);

// The commands of the authority itself; their arguments are those behind the verb.
int RunServer(const std::vector<std::string>& arguments, const CliHost& host);
int ValidateServer(const std::vector<std::string>& arguments, const CliHost& host);

}  // namespace assay
