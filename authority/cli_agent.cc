// SPDX-License-Identifier: GPL-3.0-or-later
// agent list, count, show, ban, evict and purge.
#include <nlohmann/json.hpp>
#include <ostream>

#include "authority/cli_client.h"
#include "authority/cli_command.h"
#include "authority/cli_output.h"
#include "spire/api/server/agent/v1/agent.grpc.pb.h"

namespace assay {
namespace {

namespace types = spire::api::types;
namespace agent_api = spire::api::server::agent::v1;
using AgentStub = agent_api::Agent::Stub;

constexpr int kPageSize = 1000;

// All pages as one answer.
absl::StatusOr<agent_api::ListAgentsResponse> ListAll(ApiClient& api,
                                                      agent_api::ListAgentsRequest request) {
  agent_api::ListAgentsResponse all;
  request.set_page_size(kPageSize);
  do {
    ASSIGN_OR_RETURN(auto page, api.Call(&AgentStub::ListAgents, request));
    request.set_page_token(page.next_page_token());
    page.clear_next_page_token();
    all.MergeFrom(page);
  } while (!request.page_token().empty());
  return all;
}

// Whether the text is as "2006-01-02 15:04:05 -0700 -07", which is what the upstream reads.
absl::Status CheckDate(std::string_view text) {
  constexpr std::string_view kShape = "dddd-dd-dd dd:dd:dd sdddd sdd";
  bool fits = text.size() == kShape.size();
  for (size_t i = 0; fits && i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    const bool sign = text[i] == '+' || text[i] == '-';
    fits = kShape[i] == 'd' ? digit : kShape[i] == 's' ? sign : text[i] == kShape[i];
  }
  absl::Time parsed;
  const std::string date(text.substr(0, fits ? text.rfind(' ') : 0));
  if (!fits || !absl::ParseTime("%Y-%m-%d %H:%M:%S %z", date, &parsed, nullptr)) {
    return InvalidArgument("date is not valid: {} is not in the format {}", GoQuoted(text),
                           "\"2006-01-02 15:04:05 -0700 -07\"");
  }
  return absl::OkStatus();
}

// The flags that choose agents.
struct AgentFilter {
  std::string attestation_type, expires_before, banned, can_reattest;
  std::string match_selectors = "superset";
  std::vector<std::string> selectors;

  void AddTo(Arguments& flags);
  absl::Status Fill(agent_api::Filter& filter) const;
};

void AgentFilter::AddTo(Arguments& flags) {
  flags.Add("selector", selectors, "A selector, type:value. Can be used more than once");
  flags.Add("matchSelectorsOn", match_selectors,
            "How selectors match: exact, any, superset or subset");
  flags.Add("attestationType", attestation_type, "The attestation type, such as join_token");
  flags.Add("canReattest", can_reattest,
            "'true': agents that can reattest, 'false': those that cannot, else all");
  flags.Add("banned", banned, "'true': banned agents, 'false': those not banned, else all");
  flags.Add("expiresBefore", expires_before,
            "Agents that expire before this time, as \"2006-01-02 15:04:05 -0700 -07\"");
}

absl::Status AgentFilter::Fill(agent_api::Filter& filter) const {
  if (!selectors.empty()) {
    using Match = types::SelectorMatch;
    const auto match = match_selectors == "exact"      ? Match::MATCH_EXACT
                       : match_selectors == "any"      ? Match::MATCH_ANY
                       : match_selectors == "superset" ? Match::MATCH_SUPERSET
                                                       : Match::MATCH_SUBSET;
    if (match == Match::MATCH_SUBSET && match_selectors != "subset") {
      return InvalidArgument("unsupported match behavior");
    }
    filter.mutable_by_selector_match()->set_match(match);
  }
  for (const std::string& text : selectors) {
    auto selector = ParseSelectorFlag(text);
    if (!selector.ok()) {
      return WithContext(selector.status(),
                         fmt::format("error parsing selector {}", GoQuoted(text)));
    }
    *filter.mutable_by_selector_match()->add_selectors() = *std::move(selector);
  }
  if (!expires_before.empty()) {
    RETURN_IF_ERROR(CheckDate(expires_before));
    filter.set_by_expires_before(expires_before);
  }
  filter.set_by_attestation_type(attestation_type);
  if (can_reattest == "true" || can_reattest == "false") {
    filter.mutable_by_can_reattest()->set_value(can_reattest == "true");
  }
  if (banned == "true" || banned == "false") {
    filter.mutable_by_banned()->set_value(banned == "true");
  }
  return absl::OkStatus();
}

class ListAgents final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override { filter_.AddTo(flags); }

  absl::Status Run(const CliContext& context) override {
    agent_api::ListAgentsRequest request;
    RETURN_IF_ERROR(filter_.Fill(*request.mutable_filter()));
    ASSIGN_OR_RETURN(const auto all, ListAll(context.api, std::move(request)));
    std::ostream& out = context.streams.out;
    if (context.format == OutputFormat::kJson) {
      out << ToJsonLine(all);
      return absl::OkStatus();
    }
    if (all.agents().empty()) {
      out << "No attested agents found\n";
      return absl::OkStatus();
    }
    out << "Found " << Counted(all.agents_size(), "attested agent", "attested agents") << ":\n\n";
    for (const types::Agent& agent : all.agents()) {
      out << AgentText(agent);
    }
    return absl::OkStatus();
  }

 private:
  AgentFilter filter_;
};

class CountAgents final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override { filter_.AddTo(flags); }

  absl::Status Run(const CliContext& context) override {
    agent_api::CountAgentsRequest request;
    RETURN_IF_ERROR(filter_.Fill(*request.mutable_filter()));
    ASSIGN_OR_RETURN(const auto response, context.api.Call(&AgentStub::CountAgents, request));
    context.streams.out << (context.format == OutputFormat::kJson
                                ? ToJsonLine(response)
                                : Counted(response.count(), "attested agent", "attested agents") +
                                      "\n");
    return absl::OkStatus();
  }

 private:
  AgentFilter filter_;
};

// A command that speaks of one agent: show, ban, evict.
template <typename Request, typename Response>
absl::StatusOr<Response> CallForAgent(const CliContext& context, const std::string& spiffe_id,
                                      grpc::Status (AgentStub::*method)(grpc::ClientContext*,
                                                                        const Request&,
                                                                        Response*)) {
  if (spiffe_id.empty()) {
    return InvalidArgument("a SPIFFE ID is required");
  }
  Request request;
  ASSIGN_OR_RETURN(*request.mutable_id(), ParseIdFlag(spiffe_id));
  return context.api.Call(method, request);
}

class ShowAgent final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override {
    flags.Add("spiffeID", spiffe_id_, "The SPIFFE ID of the agent to show");
  }

  absl::Status Run(const CliContext& context) override {
    ASSIGN_OR_RETURN(const types::Agent agent,
                     CallForAgent(context, spiffe_id_, &AgentStub::GetAgent));
    std::ostream& out = context.streams.out;
    if (context.format == OutputFormat::kJson) {
      out << ToJsonLine(agent);
      return absl::OkStatus();
    }
    out << "Found an attested agent given its SPIFFE ID\n\n" << AgentText(agent);
    for (const types::Selector& selector : agent.selectors()) {
      out << fmt::format("{:<18}: {}:{}\n", "Selectors", selector.type(), selector.value());
    }
    return absl::OkStatus();
  }

 private:
  std::string spiffe_id_;
};

class BanAgent final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override {
    flags.Add("spiffeID", spiffe_id_, "The SPIFFE ID of the agent to ban");
  }

  absl::Status Run(const CliContext& context) override {
    ASSIGN_OR_RETURN(const auto empty, CallForAgent(context, spiffe_id_, &AgentStub::BanAgent));
    context.streams.out << (context.format == OutputFormat::kJson ? ToJsonLine(empty)
                                                                  : "Agent banned successfully\n");
    return absl::OkStatus();
  }

 private:
  std::string spiffe_id_;
};

class EvictAgent final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override {
    flags.Add("spiffeID", spiffe_id_, "The SPIFFE ID of the agent to evict");
  }

  absl::Status Run(const CliContext& context) override {
    ASSIGN_OR_RETURN(const auto empty, CallForAgent(context, spiffe_id_, &AgentStub::DeleteAgent));
    context.streams.out << (context.format == OutputFormat::kJson ? ToJsonLine(empty)
                                                                  : "Agent evicted successfully\n");
    return absl::OkStatus();
  }

 private:
  std::string spiffe_id_;
};

class PurgeAgents final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override {
    flags.Add("expiredFor", expired_for_,
              "How long ago an agent's SVID must have expired for the agent to be purged");
    flags.Add("dryRun", dry_run_, "Only print the agents that would be purged");
  }

  absl::Status Run(const CliContext& context) override {
    ASSIGN_OR_RETURN(const std::vector<Purged> agents, Purge(context));
    context.streams.out << (context.format == OutputFormat::kJson ? JsonOf(agents)
                                                                  : TextOf(agents));
    return absl::OkStatus();
  }

 private:
  struct Purged {
    std::string id;
    bool deleted = false;
    std::string error;
  };

  // Only agents that can attest again are purged: another would be locked out for good.
  absl::StatusOr<std::vector<Purged>> Purge(const CliContext& context) const {
    agent_api::ListAgentsRequest request;
    request.mutable_filter()->mutable_by_can_reattest()->set_value(true);
    request.mutable_output_mask()->set_x509svid_expires_at(true);
    auto all = ListAll(context.api, std::move(request));
    if (!all.ok()) {
      return WithContext(all.status(), "failed to list agents");
    }
    const absl::Time now = context.clock.Now();
    std::vector<Purged> purged;
    for (const types::Agent& agent : all->agents()) {
      if (now - absl::FromUnixSeconds(agent.x509svid_expires_at()) <= expired_for_) {
        continue;
      }
      Purged& result = purged.emplace_back();
      result.id = IdText(agent.id());
      if (!dry_run_) {
        agent_api::DeleteAgentRequest deletion;
        *deletion.mutable_id() = agent.id();
        const auto deleted = context.api.Call(&AgentStub::DeleteAgent, deletion);
        result.deleted = deleted.ok();
        result.error = Message(deleted.status());
      }
    }
    return purged;
  }

  static std::string JsonOf(const std::vector<Purged>& agents) {
    nlohmann::ordered_json json = {{"expired_agents", nlohmann::ordered_json::array()}};
    for (const Purged& agent : agents) {
      nlohmann::ordered_json item = {{"agent_id", agent.id}, {"deleted", agent.deleted}};
      if (!agent.error.empty()) {
        item["error"] = agent.error;
      }
      json["expired_agents"].push_back(std::move(item));
    }
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }

  std::string TextOf(const std::vector<Purged>& agents) const {
    if (agents.empty()) {
      return "No agents to purge.\n";
    }
    std::string purged, kept;
    for (const Purged& agent : agents) {
      std::string& list = agent.deleted || dry_run_ ? purged : kept;
      list += fmt::format("{:<18}: {}\n", "SPIFFE ID", agent.id);
      if (!agent.deleted && !dry_run_) {
        list += fmt::format("{:<18}: {}\n", "Error", agent.error);
      }
    }
    const auto count = static_cast<int64_t>(agents.size());
    std::string text = "Found " + Counted(count, "expired agent", "expired agents") + "\n\n";
    if (dry_run_) {
      return text + "\nAgents that can be purged:\n" + purged;
    }
    text += purged.empty() ? "" : "Agents purged:\n" + purged;
    text += kept.empty() ? "" : "Agents not purged:\n" + kept;
    return text;
  }

  absl::Duration expired_for_ = absl::Hours(720);
  bool dry_run_ = false;
};

}  // namespace

std::vector<CliEntry> AgentCommands() {
  return {
      {"agent", "ban", "Bans an attested agent", &MakeCommand<BanAgent>},
      {"agent", "count", "Counts attested agents", &MakeCommand<CountAgents>},
      {"agent", "evict", "Forgets an attested agent, which must attest again",
       &MakeCommand<EvictAgent>},
      {"agent", "list", "Lists attested agents", &MakeCommand<ListAgents>},
      {"agent", "purge", "Forgets agents that expired long ago and can attest again",
       &MakeCommand<PurgeAgents>},
      {"agent", "show", "Shows an attested agent", &MakeCommand<ShowAgent>},
  };
}

}  // namespace assay
