// SPDX-License-Identifier: GPL-3.0-or-later
// audit verify: whether an audit log is whole and unchanged.
#include <algorithm>
#include <ostream>
#include <string>

#include "agent/audit_verifier.h"
#include "agent/command_line_command.h"

namespace assay {
namespace {

// The flags come first, and what follows them is files.
CommandArguments TakeFiles(CommandArguments& arguments) {
  auto first = arguments.begin();
  while (first != arguments.end() && first->starts_with("-")) {
    const bool ends_flags = *first == "--";
    const bool has_value = first->find('=') == first->npos && *first != "-h" && *first != "-help" &&
                           *first != "--h" && *first != "--help";
    first += !ends_flags && has_value && first + 1 != arguments.end() ? 2 : 1;
    if (ends_flags) {
      break;
    }
  }
  CommandArguments files(first, arguments.end());
  arguments.erase(first, arguments.end());
  return files;
}

}  // namespace

int VerifyAuditCommand(const CommandArguments& arguments, const CommandStreams& streams) {
  std::string anchor;
  Arguments flags("audit verify");
  flags.Add("anchor", anchor,
            "Hash of a line that must be there, such as the last one of an earlier verification");
  CommandArguments rest = arguments;
  const CommandArguments files = TakeFiles(rest);
  if (absl::Status status = flags.Parse(rest); !status.ok()) {
    return Misused(status, flags.Usage(), streams);
  }
  if (files.empty()) {
    return Misused(InvalidArgument("the audit log's files must be specified, the oldest first"),
                   flags.Usage(), streams);
  }
  AuditVerifier verifier;
  verifier.LookFor(anchor);
  const absl::Status verified = VerifyAuditFiles(files, verifier);
  for (const std::string& note : verifier.notes()) {
    streams.err << note << "\n";
  }
  if (!verified.ok()) {
    streams.err << Message(verified) << "\n";
    return 1;
  }
  if (verifier.begins_after() != NoAuditLine()) {
    streams.err << fmt::format(
        "{}:1: it follows a line that is in none of the files, with the hash {}\n", files.front(),
        verifier.begins_after());
  }
  streams.out << fmt::format("{} lines are in order. The last has the hash {}.\n", verifier.lines(),
                             verifier.last_hash());
  return 0;
}

}  // namespace assay
