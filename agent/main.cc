// SPDX-License-Identifier: GPL-3.0-or-later
// One program, five ways to begin: the command line, and in processes that the monitor starts the
// roles.
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "agent/command_line.h"
#include "agent/identity_role.h"
#include "agent/role_main.h"

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (arguments.size() == 2 && arguments[0] == "role") {
    return assay::RunRole(arguments[1], assay::RunIdentity);
  }
  assay::CommandStreams streams{.out = std::cout, .err = std::cerr};
  // As another agent, where it stands in that one's place.
  if (const auto name = std::filesystem::path(argc > 0 ? argv[0] : "").filename(); !name.empty()) {
    streams.program = name.string();
  }
  return assay::RunCommandLine(arguments, streams);
}
