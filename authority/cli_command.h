// SPDX-License-Identifier: GPL-3.0-or-later
// One command that asks a running upstream over its socket, such as "entry create": its flags, and
// what it sends and prints. Flags, output and messages are those of the reference's command line,
// so that scripts written for it work, against either upstream.
#pragma once

#include <iosfwd>
#include <memory>
#include <string_view>
#include <vector>

#include "base/arguments.h"
#include "base/clock.h"
#include "base/status.h"

namespace assay {

class ApiClient;

// Where a command reads and writes.
struct CliStreams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
};

enum class OutputFormat { kPretty, kJson };

struct CliContext {
  ApiClient& api;
  const CliStreams& streams;
  const Clock& clock;
  OutputFormat format = OutputFormat::kPretty;
};

class CliCommand {
 public:
  virtual ~CliCommand() = default;
  // The flags' fields are this object's.
  virtual void AddFlags(Arguments& flags) = 0;
  // Runs once, after the flags were read. A failure's message is what the user is shown.
  virtual absl::Status Run(const CliContext& context) = 0;
};

// A command's place in the command line; the group is empty for one that has none.
struct CliEntry {
  std::string_view group;
  std::string_view name;
  std::string_view synopsis;
  std::unique_ptr<CliCommand> (*make)();
};

// The commands of each group, by name.
std::vector<CliEntry> AgentCommands();
std::vector<CliEntry> BundleCommands();
std::vector<CliEntry> EntryCommands();
std::vector<CliEntry> EntryDeleteCommands();
std::vector<CliEntry> EntryQueryCommands();
std::vector<CliEntry> HealthCommands();
std::vector<CliEntry> TokenCommands();
std::vector<CliEntry> JwtCommands();
std::vector<CliEntry> X509Commands();

template <typename Command>
std::unique_ptr<CliCommand> MakeCommand() {
  return std::make_unique<Command>();
}

}  // namespace assay
