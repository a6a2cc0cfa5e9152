// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/cli.h"

#include <algorithm>
#include <ostream>
#include <set>

#include "authority/cli_client.h"
#include "authority/cli_output.h"

namespace assay {
namespace {

constexpr int kFailed = 1;
constexpr int kNoSuchCommand = 127;

std::vector<CliEntry> AllCommands() {
  std::vector<CliEntry> all;
  for (const auto& commands :
       {AgentCommands(), BundleCommands(), EntryCommands(), EntryDeleteCommands(),
        EntryQueryCommands(), HealthCommands(), JwtCommands(), TokenCommands(), X509Commands()}) {
    all.insert(all.end(), commands.begin(), commands.end());
  }
  std::sort(all.begin(), all.end(),
            [](const CliEntry& a, const CliEntry& b) { return a.name < b.name; });
  return all;
}

bool IsHelp(std::string_view argument) {
  return argument == "-h" || argument == "-help" || argument == "--help";
}

std::string TopLevelUsage(const std::vector<CliEntry>& commands) {
  // Groups stand with an empty synopsis.
  std::set<std::pair<std::string_view, std::string_view>> lines = {
      {"run", "Runs the authority"}, {"validate", "Validates a configuration file"}};
  for (const CliEntry& command : commands) {
    command.group.empty() ? lines.emplace(command.name, command.synopsis)
                          : lines.emplace(command.group, "");
  }
  std::string text =
      "Usage: assay-authority [--version] [--help] <command> [<args>]\n\n"
      "Available commands are:\n";
  for (const auto& [name, synopsis] : lines) {
    text += fmt::format("    {:<21}{}\n", name, synopsis);
  }
  return text + "\n";
}

std::string GroupUsage(std::string_view group, const std::vector<CliEntry>& commands) {
  std::string text =
      "This command is accessed by using one of the subcommands below.\n\nSubcommands:\n";
  for (const CliEntry& command : commands) {
    if (command.group == group) {
      text += fmt::format("    {:<12}{}\n", command.name, command.synopsis);
    }
  }
  return text;
}

// The flags that every command has.
struct CommonFlags {
  std::string socket{kDefaultServerSocket};
  std::string instance;
  OutputFormat format = OutputFormat::kPretty;

  void AddTo(Arguments& flags);
  absl::StatusOr<std::string> SocketPath(const Arguments& flags, const CliHost& host) const;
};

void CommonFlags::AddTo(Arguments& flags) {
  flags.Add("socketPath", socket, "Path to the upstream's API socket");
  flags.Add("instance", instance,
            "Instance name to substitute into socket templates "
            "(env SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE)");
  flags.Add(
      "output",
      [this](std::string_view text) {
        if (text == "json") {
          format = OutputFormat::kJson;
        } else if (text == "pretty") {
          format = OutputFormat::kPretty;
        } else {
          return InvalidArgument("bad formatter flag: unknown format option: {}", GoQuoted(text));
        }
        return absl::OkStatus();
      },
      "Desired output format (pretty, json); default: pretty.");
}

absl::StatusOr<std::string> CommonFlags::SocketPath(const Arguments& flags,
                                                    const CliHost& host) const {
  constexpr std::string_view kPlaceholder = "%i";
  if (flags.WasSet("socketPath")) {
    return socket;
  }
  if (instance.empty()) {
    return host.socket.empty() ? socket : host.socket;
  }
  std::string path = host.socket_template;
  size_t at = path.find(kPlaceholder);
  if (at == path.npos) {
    return InvalidArgument(
        "the instance flag needs SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE with a %i in it");
  }
  for (; at != path.npos; at = path.find(kPlaceholder, at + instance.size())) {
    path.replace(at, kPlaceholder.size(), instance);
  }
  return path;
}

int RunCommand(const CliEntry& entry, const std::vector<std::string>& arguments,
               const CliHost& host) {
  const std::unique_ptr<CliCommand> command = entry.make();
  Arguments flags(entry.group.empty() ? std::string(entry.name)
                                      : fmt::format("{} {}", entry.group, entry.name));
  CommonFlags common;
  common.AddTo(flags);
  command->AddFlags(flags);
  const CliStreams& streams = host.streams;
  if (const absl::Status parsed = flags.Parse(arguments); absl::IsCancelled(parsed)) {
    streams.err << flags.Usage();
    return 0;
  } else if (!parsed.ok()) {
    streams.err << Message(parsed) << "\n" << flags.Usage();
    return kFailed;
  }
  const auto socket = common.SocketPath(flags, host);
  if (!socket.ok()) {
    streams.err << "Error: " << Message(socket.status()) << "\n";
    return kFailed;
  }
  ApiClient api(*socket);
  const absl::Status done =
      command->Run({.api = api, .streams = streams, .clock = host.clock, .format = common.format});
  streams.out.flush();
  if (!done.ok()) {
    streams.err << "Error: " << Message(done) << "\n";
    return kFailed;
  }
  if (!streams.out.good()) {
    streams.err << "Error: cannot write the output\n";
    return kFailed;
  }
  return 0;
}

}  // namespace

int RunCli(const std::vector<std::string>& arguments, const CliHost& host) {
  const std::vector<CliEntry> commands = AllCommands();
  const CliStreams& streams = host.streams;
  const std::string verb = arguments.empty() ? "" : arguments[0];
  if (verb == "-version" || verb == "--version" || verb == "-v") {
    streams.err << ASSAY_VERSION << "\n";
    return 0;
  }
  if (IsHelp(verb)) {
    streams.err << TopLevelUsage(commands);
    return 0;
  }
  const auto behind = [&arguments](size_t count) {
    return std::vector<std::string>(arguments.begin() + static_cast<std::ptrdiff_t>(count),
                                    arguments.end());
  };
  if (verb == "run" || verb == "validate") {
    return verb == "run" ? RunServer(behind(1), host) : ValidateServer(behind(1), host);
  }
  const std::string name = arguments.size() > 1 ? arguments[1] : "";
  bool is_group = false;
  for (const CliEntry& command : commands) {
    if (command.group.empty() && command.name == verb) {
      return RunCommand(command, behind(1), host);
    }
    if (command.group == verb && command.name == name) {
      return RunCommand(command, behind(2), host);
    }
    is_group = is_group || (command.group == verb && !verb.empty());
  }
  if (is_group) {
    streams.err << GroupUsage(verb, commands);
    return IsHelp(name) ? 0 : kFailed;
  }
  streams.err << TopLevelUsage(commands);
  return kNoSuchCommand;
}

}  // namespace assay
