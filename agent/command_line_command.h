// SPDX-License-Identifier: GPL-3.0-or-later
// The commands behind the command line, each in a file with its like.
#pragma once

#include <absl/time/time.h>

#include <string>
#include <string_view>
#include <vector>

#include "agent/command_line.h"
#include "base/arguments.h"

namespace assay {

using CommandArguments = std::vector<std::string>;
using Command = int (*)(const CommandArguments& arguments, const CommandStreams& streams);

int RunCommand(const CommandArguments& arguments, const CommandStreams& streams);
int ValidateCommand(const CommandArguments& arguments, const CommandStreams& streams);
int HealthcheckCommand(const CommandArguments& arguments, const CommandStreams& streams);
int FetchX509Command(const CommandArguments& arguments, const CommandStreams& streams);
int LoggerGetCommand(const CommandArguments& arguments, const CommandStreams& streams);
int LoggerSetCommand(const CommandArguments& arguments, const CommandStreams& streams);
int LoggerResetCommand(const CommandArguments& arguments, const CommandStreams& streams);
int DebugInfoCommand(const CommandArguments& arguments, const CommandStreams& streams);
int ExplainCommand(const CommandArguments& arguments, const CommandStreams& streams);
int FetchJwtCommand(const CommandArguments& arguments, const CommandStreams& streams);
int ValidateJwtCommand(const CommandArguments& arguments, const CommandStreams& streams);
int WatchCommand(const CommandArguments& arguments, const CommandStreams& streams);
int VerifyAuditCommand(const CommandArguments& arguments, const CommandStreams& streams);
int ProvisionCommand(const CommandArguments& arguments, const CommandStreams& streams);

// What some of the reference's commands say behind the help they were asked for.
constexpr std::string_view kHelpRequested = "flag: help requested";
// Says what is wrong with the arguments (or gives the help asked for, with such an ending) and
// returns the exit status.
int Misused(const absl::Status& why, std::string_view usage, const CommandStreams& streams,
            std::string_view help_ending = "");

// Of "-output pretty|json".
Arguments::Reader OutputReader(bool& json);

// Of "-timeout", which the reference shows as a value of its own, and what it is without.
Arguments::Reader TimeoutReader(absl::Duration& timeout);
constexpr absl::Duration kDefaultTimeout = absl::Seconds(5);
constexpr std::string_view kTimeoutHelp = "Time to wait for a response (default 5s)";

constexpr std::string_view kApiSocketHelp = "Path to the SPIRE Agent API Unix domain socket";

// The flags that say where the Workload API is.
class SocketFlags final {
 public:
  // Declares them; this object must outlive the arguments.
  void AddTo(Arguments& arguments, std::string_view help);
  // After the arguments were read.
  absl::StatusOr<std::string> Path(const Arguments& arguments) const;

 private:
  std::string path_;
  std::string instance_;
};

}  // namespace assay
