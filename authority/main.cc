// SPDX-License-Identifier: GPL-3.0-or-later
// assay-authority: the embedded upstream and its command line.
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "authority/authority.h"
#include "authority/cli.h"
#include "base/clock.h"

namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const assay::SystemClock clock;
  const assay::CliHost host{
      .streams = {.in = std::cin, .out = std::cout, .err = std::cerr},
      .clock = clock,
      .socket = Variable("SPIRE_SERVER_PRIVATE_SOCKET"),
      .socket_template = Variable("SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE"),
      .serve = assay::RunAuthority,
  };
  return assay::RunCli(std::vector<std::string>(argv + 1, argv + argc), host);
}
