// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/command_line.h"

#include <algorithm>
#include <map>
#include <ostream>
#include <string_view>

#include "agent/command_line_command.h"
#include "agent/config.h"
#include "agent/version.h"

namespace assay {
namespace {

constexpr int kNoSuchCommand = 127;

struct Entry {
  std::string_view path;
  std::string_view synopsis;
  Command run;  // Null: a group of commands.
};

constexpr Entry kCommands[] = {
    {"api", "", nullptr},
    {"api fetch", "Fetches X509 SVIDs from the Workload API", FetchX509Command},
    {"api fetch x509", "Fetches X509 SVIDs from the Workload API", FetchX509Command},
    {"api fetch jwt", "Fetches a JWT SVID from the Workload API", FetchJwtCommand},
    {"api validate", "", nullptr},
    {"api validate jwt", "Validates a JWT SVID", ValidateJwtCommand},
    {"api watch", "Attaches to the Workload API and prints updates as they're received",
     WatchCommand},
    {"audit", "", nullptr},
    {"audit verify", "Verifies the chain of an audit log's files", VerifyAuditCommand},
    {"debug", "", nullptr},
    {"debug getinfo", "Prints debug information about the agent", DebugInfoCommand},
    {"explain", "Explains why a process has its identities, or calls were refused", ExplainCommand},
    {"healthcheck", "Determines agent health status", HealthcheckCommand},
    {"logger", "", nullptr},
    {"logger get", "Gets the logger details", LoggerGetCommand},
    {"logger reset", "Reset the logger details to launch level", LoggerResetCommand},
    {"logger set", "Sets the logger details", LoggerSetCommand},
    {"run", "Runs the agent", RunCommand},
    {"tpm", "", nullptr},
    {"tpm provision", "Makes a DevID key in the TPM, or installs its certificate",
     ProvisionCommand},
    {"validate", "Validates a SPIRE agent configuration file", ValidateCommand},
};

// The commands directly below a path, names aligned.
void ListBelow(std::string_view path, std::ostream& out) {
  std::map<std::string_view, std::string_view> below;
  size_t width = 0;
  for (const Entry& entry : kCommands) {
    std::string_view name = entry.path;
    if (!path.empty()) {
      if (!name.starts_with(path) || name.size() <= path.size() || name[path.size()] != ' ') {
        continue;
      }
      name.remove_prefix(path.size() + 1);
    }
    if (name.find(' ') == name.npos) {
      below[name] = entry.synopsis;
      width = std::max(width, name.size());
    }
  }
  for (const auto& [name, synopsis] : below) {
    out << fmt::format("    {:<{}}    {}\n", name, width, synopsis);
  }
}

void ListAll(const CommandStreams& streams) {
  std::ostream& out = streams.err;
  out << fmt::format("Usage: {} [--version] [--help] <command> [<args>]\n\n", streams.program)
      << "Available commands are:\n";
  ListBelow("", out);
  out << "\n";
}

bool IsHelp(std::string_view word) {
  return word == "-h" || word == "--h" || word == "-help" || word == "--help";
}

int RunGroup(const Entry& group, const std::vector<std::string>& rest, std::ostream& out) {
  out << "This command is accessed by using one of the subcommands below.\n\nSubcommands:\n";
  ListBelow(group.path, out);
  return !rest.empty() && IsHelp(rest[0]) ? 0 : 1;
}

}  // namespace

int Misused(const absl::Status& why, std::string_view usage, const CommandStreams& streams,
            std::string_view help_ending) {
  if (absl::IsCancelled(why)) {
    streams.err << usage << help_ending << "\n";
    return 0;
  }
  // Twice, as scripts see it from the reference: before the usage, and as the command's error.
  streams.err << Message(why) << "\n" << usage << Message(why) << "\n";
  return 1;
}

Arguments::Reader OutputReader(bool& json) {
  return [&json](std::string_view text) {
    if (text != "pretty" && text != "json") {
      return InvalidArgument("bad formatter flag: unknown format option: {}", Quoted(text));
    }
    json = text == "json";
    return absl::OkStatus();
  };
}

void SocketFlags::AddTo(Arguments& arguments, std::string_view help) {
  path_ = kDefaultSocketPath;
  arguments.Add("socketPath", path_, help);
  arguments.Add("instance", instance_,
                "Instance name to substitute into socket templates (env "
                "SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE).");
}

absl::StatusOr<std::string> SocketFlags::Path(const Arguments& arguments) const {
  ASSIGN_OR_RETURN(std::string path, ClientSocketPath(instance_));
  return arguments.WasSet("socketPath") ? path_ : std::move(path);
}

int RunCommandLine(const std::vector<std::string>& arguments, const CommandStreams& streams) {
  const std::string first = arguments.empty() ? "" : arguments[0];
  if (first == "-version" || first == "--version" || first == "-v") {
    streams.err << kVersion << "\n";
    return 0;
  }
  const Entry* chosen = nullptr;
  size_t words = 0;
  std::string path;
  for (size_t i = 0; i < arguments.size() && !arguments[i].starts_with('-'); ++i) {
    path += (i == 0 ? "" : " ") + arguments[i];
    for (const Entry& entry : kCommands) {
      if (entry.path == path) {
        chosen = &entry;
        words = i + 1;
      }
    }
  }
  if (chosen == nullptr) {
    ListAll(streams);
    return IsHelp(first) ? 0 : kNoSuchCommand;
  }
  const std::vector<std::string> rest(arguments.begin() + static_cast<ptrdiff_t>(words),
                                      arguments.end());
  return chosen->run == nullptr ? RunGroup(*chosen, rest, streams.err) : chosen->run(rest, streams);
}

}  // namespace assay
