// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_health.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace assay {
namespace {

using nlohmann::ordered_json;

// An upstream's words may be as long as it likes.
constexpr size_t kMostErrorBytes = 512;

std::string TextOf(const absl::Status& error) {
  return std::string(Message(error).substr(0, kMostErrorBytes));
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::string Text(const ordered_json& document) {
  return document.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

void AddError(ordered_json& to, const char* name, const absl::Status& error, Words words) {
  if (!error.ok()) {
    to[name] = words == Words::kAll ? TextOf(error) : absl::StatusCodeToString(error.code());
  }
}

std::string SilenceText(absl::Duration silence) {
  return fmt::format("the serve role has not answered for {} seconds",
                     absl::ToInt64Seconds(silence));
}

}  // namespace

std::optional<absl::Duration> IdentityHealth::OutageBudget() const {
  if (phase != Phase::kServing) {
    return std::nullopt;
  }
  absl::Time end = agent_expires.value_or(absl::InfinitePast());
  if (earliest_expiry.has_value()) {
    end = std::min(end, *earliest_expiry);
  }
  return expired_svids > 0 ? absl::ZeroDuration() : std::max(end - now, absl::ZeroDuration());
}

std::vector<std::string> IdentityHealth::Reasons(Words words) const {
  std::vector<std::string> reasons;
  const auto because = [words](std::string what, const absl::Status& error) {
    return error.ok() || words == Words::kOurs ? what : fmt::format("{}: {}", what, TextOf(error));
  };
  switch (phase) {
    case Phase::kAttesting:
      return {because("the node is not attested yet", attestation_error)};
    case Phase::kFirstSync:
      return {because("nothing has been fetched from the upstream yet", sync_error)};
    case Phase::kStopped:
      return {"the agent stops"};
    case Phase::kServing:
      break;
  }
  if (agent_expires.has_value() && *agent_expires < now) {
    reasons.push_back(because("the agent's SVID has expired", renewal_error));
  }
  if (expired_svids > 0) {
    reasons.push_back(because(fmt::format("{} X509-SVIDs have expired", expired_svids),
                              signing_error.ok() ? sync_error : signing_error));
  }
  if (callers_wait && !signing_error.ok()) {
    reasons.push_back(because("callers wait for X509-SVIDs", signing_error));
  }
  return reasons;
}

HealthAnswer LiveAnswer(const ServeSilence& silence) {
  const bool good = !silence.has_value() || *silence < kServeStuckAfter;
  ordered_json agent = ordered_json::object();
  if (!good) {
    agent["reasons"] = {SilenceText(*silence)};
  }
  return {.good = good, .json = Text({{"agent", agent}})};
}

HealthAnswer ReadyAnswer(const IdentityHealth& health, const ServeSilence& silence, Words words) {
  std::vector<std::string> reasons = health.Reasons(words);
  if (silence.has_value()) {
    reasons.push_back(SilenceText(*silence));
  }
  ordered_json agent = ordered_json::object();
  if (!reasons.empty()) {
    agent["reasons"] = reasons;
  }
  if (health.last_sync.has_value()) {
    agent["last_sync"] = TimeText(*health.last_sync);
    agent["last_sync_age_seconds"] = absl::ToInt64Seconds(health.now - *health.last_sync);
  }
  AddError(agent, "sync_error", health.sync_error, words);
  if (health.agent_expires.has_value()) {
    agent["agent_svid_expires"] = TimeText(*health.agent_expires);
  }
  AddError(agent, "agent_svid_error", health.renewal_error, words);
  agent["x509_svids"] = health.svids;
  agent["expired_x509_svids"] = health.expired_svids;
  agent["refused_x509_svids"] = health.refused_svids;
  if (health.earliest_expiry.has_value()) {
    agent["earliest_expiry"] = TimeText(*health.earliest_expiry);
  }
  AddError(agent, "signing_error", health.signing_error, words);
  agent["jwt_svids"] = health.jwt_svids;
  if (const auto budget = health.OutageBudget(); budget.has_value()) {
    agent["outage_budget_seconds"] = absl::ToInt64Seconds(*budget);
  }
  return {.good = reasons.empty(), .json = Text({{"agent", agent}})};
}

}  // namespace assay
