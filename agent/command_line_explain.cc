// SPDX-License-Identifier: GPL-3.0-or-later
// explain: why a process has its identities, or why calls were refused; on the admin socket.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "agent/command_line_admin.h"
#include "agent/command_line_command.h"
#include "assay/agent/v1/explain.grpc.pb.h"
#include "base/printable.h"

namespace assay {
namespace {

namespace v1 = agent::v1;
using nlohmann::json;

// An attestation may take as long as it takes to read a large executable.
constexpr absl::Duration kTimeout = absl::Seconds(40);
constexpr std::string_view kReasonPrefix = "reason=";

// What processes and attestors choose goes to a terminal, which must not obey it.
void PrintSelectors(const google::protobuf::RepeatedPtrField<std::string>& selectors,
                    std::ostream& out) {
  for (const std::string& selector : selectors) {
    out << "      " << Printable(selector) << "\n";
  }
}

void PrintEntry(const v1::Entry& entry, std::ostream& out) {
  out << fmt::format("    {} (entry {})", Printable(entry.spiffe_id()), Printable(entry.id()));
  if (entry.missing_count() > 0) {
    out << fmt::format(", of whose {} selectors {} {} missing:", entry.selectors_count(),
                       entry.missing_count(), entry.missing_count() == 1 ? "is" : "are");
  } else if (entry.store_svid()) {
    out << ", which is for a store of SVIDs alone";
  } else if (!entry.has_svid()) {
    out << ", which has no SVID yet";
  }
  out << "\n";
  PrintSelectors(entry.missing(), out);
}

void PrintEntries(const v1::Explanation& explanation, std::ostream& out) {
  out << fmt::format("  {} of {} entries {}\n", explanation.matched_count(),
                     explanation.entries_count(),
                     explanation.matched_count() == 1 ? "matches" : "match");
  for (const v1::Entry& entry : explanation.matched()) {
    PrintEntry(entry, out);
  }
  if (explanation.nearest_size() > 0) {
    out << "  Nearest of the others\n";
  }
  for (const v1::Entry& entry : explanation.nearest()) {
    PrintEntry(entry, out);
  }
}

void Print(const v1::Explanation& explanation, std::ostream& out) {
  if (explanation.attestors_size() > 0) {
    out << "  Attestors\n";
  }
  for (const v1::Attestor& attestor : explanation.attestors()) {
    out << fmt::format("    {}, in {:.3f} ms{}\n", Printable(attestor.name()),
                       static_cast<double>(attestor.microseconds()) / 1000,
                       attestor.error().empty() ? "" : ": " + Printable(attestor.error()));
    PrintSelectors(attestor.selectors(), out);
  }
  if (explanation.error().empty()) {
    PrintEntries(explanation, out);
  } else {
    out << "  Not attested: " << Printable(explanation.error()) << "\n";
  }
}

void Print(const v1::Refusal& refusal, std::ostream& out) {
  out << fmt::format("Refusal {}: {}\n", refusal.reason(), Printable(refusal.error()))
      << fmt::format("  Process {} of user {}, group {}\n", refusal.pid(), refusal.uid(),
                     refusal.gid())
      << fmt::format("  {} {}{}{}\n", refusal.service(), refusal.method(),
                     refusal.asked_for().empty() ? "" : " for ", Printable(refusal.asked_for()))
      << "  At " << TimeText(refusal.last_at());
  if (refusal.count() > 1) {
    out << fmt::format(", {} times since {}", refusal.count(), TimeText(refusal.first_at()));
  }
  out << "\n";
  Print(refusal.explanation(), out);
}

json ToJson(const v1::Entry& entry) {
  return {{"has_svid", entry.has_svid()},
          {"hint", entry.hint()},
          {"id", entry.id()},
          {"missing", std::vector<std::string>(entry.missing().begin(), entry.missing().end())},
          {"missing_count", entry.missing_count()},
          {"selectors_count", entry.selectors_count()},
          {"spiffe_id", entry.spiffe_id()},
          {"store_svid", entry.store_svid()}};
}

json ToJson(const v1::Attestor& attestor) {
  return {{"error", attestor.error()},
          {"microseconds", attestor.microseconds()},
          {"name", attestor.name()},
          {"selectors",
           std::vector<std::string>(attestor.selectors().begin(), attestor.selectors().end())}};
}

json ToJson(const v1::Refusal& refusal);

template <typename Messages>
json ListOf(const Messages& messages) {
  json list = json::array();
  for (const auto& message : messages) {
    list.push_back(ToJson(message));
  }
  return list;
}

json ToJson(const v1::Explanation& explanation) {
  json whole = {{"attestors", ListOf(explanation.attestors())}};
  if (explanation.error().empty()) {
    whole.update({{"entries_count", explanation.entries_count()},
                  {"matched", ListOf(explanation.matched())},
                  {"matched_count", explanation.matched_count()},
                  {"nearest", ListOf(explanation.nearest())}});
  } else {
    whole["error"] = explanation.error();
  }
  return whole;
}

json ToJson(const v1::Refusal& refusal) {
  return {{"asked_for", refusal.asked_for()},
          {"count", refusal.count()},
          {"error", refusal.error()},
          {"explanation", ToJson(refusal.explanation())},
          {"first_at", TimeText(refusal.first_at())},
          {"gid", refusal.gid()},
          {"last_at", TimeText(refusal.last_at())},
          {"method", refusal.method()},
          {"pid", refusal.pid()},
          {"reason", refusal.reason()},
          {"service", refusal.service()},
          {"uid", refusal.uid()}};
}

void PrintJson(const json& whole, std::ostream& out) {
  out << whole.dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace) << "\n";
}

int ShowProcess(const AdminFlags& flags, int64_t pid, const CommandStreams& streams) {
  v1::ExplainProcessRequest request;
  request.set_pid(static_cast<int32_t>(pid));
  const auto response =
      AskAgent<v1::Explain>(flags, request, &v1::Explain::Stub::ExplainProcess, kTimeout);
  if (!response.ok()) {
    return AdminCallFailed(response.status(), streams);
  }
  if (flags.json) {
    PrintJson({{"explanation", ToJson(response->explanation())}, {"pid", pid}}, streams.out);
  } else {
    streams.out << "Process " << pid << "\n";
    Print(response->explanation(), streams.out);
  }
  return 0;
}

int ShowRefusals(const AdminFlags& flags, const v1::ExplainRefusalsRequest& request,
                 const CommandStreams& streams) {
  const auto response =
      AskAgent<v1::Explain>(flags, request, &v1::Explain::Stub::ExplainRefusals, kTimeout);
  if (!response.ok()) {
    return AdminCallFailed(response.status(), streams);
  }
  if (flags.json) {
    PrintJson({{"refusals", ListOf(response->refusals())}}, streams.out);
    return 0;
  }
  for (int i = 0; i < response->refusals_size(); ++i) {
    streams.out << (i > 0 ? "\n" : "");
    Print(response->refusals(i), streams.out);
  }
  if (response->refusals().empty()) {
    streams.out << "No refusals are remembered.\n";
  }
  return 0;
}

}  // namespace

int ExplainCommand(const CommandArguments& arguments, const CommandStreams& streams) {
  AdminFlags flags("explain");
  int64_t pid = 0, limit = 20;
  std::string reason;
  flags.arguments.Add("pid", pid, "The process to explain. Without it the last refusals are.");
  flags.arguments.Add("reason", reason, "The one refusal to explain, as its error names it");
  flags.arguments.Add("limit", limit, "The most refusals to explain, up to 64");
  if (absl::Status status = flags.arguments.Parse(arguments); !status.ok()) {
    return Misused(status, flags.arguments.Usage(), streams, kHelpRequested);
  }
  const bool of_process = flags.arguments.WasSet("pid");
  if (of_process && (flags.arguments.WasSet("reason") || flags.arguments.WasSet("limit"))) {
    return AdminCallFailed(InvalidArgument("-pid does not go with -reason and -limit"), streams);
  }
  if (of_process && (pid < 1 || pid > INT32_MAX)) {
    return AdminCallFailed(InvalidArgument("-pid {} is no process's number", pid), streams);
  }
  if (limit < 1 || limit > 64) {
    return AdminCallFailed(InvalidArgument("-limit {}: wanted 1 to 64", limit), streams);
  }
  if (of_process) {
    return ShowProcess(flags, pid, streams);
  }
  if (reason.starts_with(kReasonPrefix)) {
    reason.erase(0, kReasonPrefix.size());
  }
  v1::ExplainRefusalsRequest request;
  request.set_reason(reason);
  request.set_limit(static_cast<uint32_t>(limit));
  return ShowRefusals(flags, request, streams);
}

}  // namespace assay
