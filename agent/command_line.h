// SPDX-License-Identifier: GPL-3.0-or-later
// The agent's command line: the commands, flags, output and exit statuses of spire-agent, so that
// scripts written for it work, and `audit verify`, `explain` and `tpm provision` besides.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace assay {

// Where a command writes, and what the program is called by.
struct CommandStreams {
  std::ostream& out;
  std::ostream& err;
  std::string program = "assay-agent";
};

// Runs the command that the arguments (without the program's name) begin with; returns the exit
// status: 0 done, 1 failed or misused, 127 no such command.
int RunCommandLine(const std::vector<std::string>& arguments, const CommandStreams& streams);

}  // namespace assay
