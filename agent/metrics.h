// SPDX-License-Identifier: GPL-3.0-or-later
// The agent's metrics, as Prometheus reads them: all of their names are here. Where spire-agent has
// a metric it has its name, and its unit: elapsed times are milliseconds. Those that it does not
// have are in seconds and say so. Thread-safe.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "agent/config.h"
#include "agent/identity_health.h"
#include "base/status.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace assay {

namespace roles {
class Report;
}  // namespace roles

struct Metric {
  std::string_view name;  // Behind the prefix.
  std::string_view help;
};

namespace metrics {

// Calls: a counter with the label "status", and NAME_elapsed_time, a summary of milliseconds.
constexpr Metric kFetchEntries{"manager_sync_fetch_entries_updates",
                               "Synchronizations of entries with the upstream."};
constexpr Metric kFetchSvids{"manager_sync_fetch_svids_updates",
                             "Calls of the upstream that sign X509-SVIDs."};
constexpr Metric kFetchBundle{"manager_sync_fetch_bundle",
                              "Calls of the upstream that fetch a trust bundle or its number."};
constexpr Metric kMintJwtSvid{"manager_mint_jwt_svid",
                              "Calls of the upstream that mint JWT-SVIDs."};
constexpr Metric kAttestNode{"node_attestor_new_svid",
                             "Node attestations, by the label \"attestor\"."};
constexpr Metric kRotateAgentSvid{"agent_svid_rotate", "Renewals of the agent's SVID."};
constexpr Metric kGenerateKey{"agent_key_manager_generate_key", "Keys made for the agent's SVID."};
constexpr Metric kGetKey{"agent_key_manager_get_key",
                         "The agent's key looked up where it is kept."};
// And of each method that is served rpc_SERVICE_METHOD.
constexpr Metric kRpc{"rpc", "Calls of this method."};
constexpr Metric kAttestWorkload{"workload_api_workload_attestation", "Attestations of callers."};

// Summaries without quantiles.
constexpr Metric kDiscoveredSelectors{"workload_api_discovered_selectors",
                                      "Selectors that attestations of callers found."};

// Counters.
constexpr Metric kEntriesAdded{"lru_cache_entry_add", "Entries that are new."};
constexpr Metric kEntriesUpdated{"lru_cache_entry_update", "Entries that have changed."};
constexpr Metric kEntriesRemoved{"lru_cache_entry_remove", "Entries that are gone."};
constexpr Metric kConnectionsTotal{"socket_connections_total",
                                   "Connections of callers to the public socket so far."};
// Of each API that spire-agent counts them of, API_connection and API_connections.
constexpr Metric kConnection{"connection", "Calls of this API so far."};
constexpr Metric kRefusals{"refusals_total",
                           "Refused connections and calls of callers, by their \"reason\"."};

// Gauges.
constexpr Metric kStarted{"started", "1, with the program's version."};
constexpr Metric kUptime{"uptime_in_ms", "Time since the identity role's start."};
constexpr Metric kOpenConnections{"socket_connections", "Those that are open."};
constexpr Metric kConnections{"connections", "Calls of this API that are open."};
constexpr Metric kEntriesTotal{"sync_entries_total", "Entries of this node."};
constexpr Metric kBundlesTotal{"sync_bundles_total", "Trust bundles that are known."};
constexpr Metric kRecordMapSize{"lru_cache_record_map_size", "Entries of this node."};
constexpr Metric kSvidMapSize{"lru_cache_svid_map_size", "Valid SVIDs that are ready."};
constexpr Metric kJwtCacheSize{"jwt_svid_cache_size", "JWT-SVIDs that are ready."};
constexpr Metric kReady{"ready", "1 while the agent does its work, as /ready tells."};
constexpr Metric kReachable{"upstream_reachable", "1 if the last call of the upstream reached it."};
constexpr Metric kLastSync{"last_sync_timestamp_seconds", "When entries were last synchronized."};
constexpr Metric kAgentExpiry{"agent_svid_expiry_timestamp_seconds",
                              "When the agent's SVID expires."};
constexpr Metric kEarliestExpiry{"x509_svid_earliest_expiry_timestamp_seconds",
                                 "When the first of the X509-SVIDs that are ready expires."};
constexpr Metric kExpired{"x509_svids_expired",
                          "X509-SVIDs that have expired and could not be replaced."};
constexpr Metric kRefusedSvids{"x509_svids_refused",
                               "Entries that the upstream did not sign an X509-SVID for."};
constexpr Metric kOutageBudget{"outage_budget_seconds",
                               "How long the upstream can be away before something expires."};

// Histograms.
constexpr Metric kFirstSvid{"first_svid_seconds",
                            "From a call of FetchX509SVID to its first answer."};
constexpr Metric kTpmOperation{"tpm_operation_seconds",
                               "Operations of the TPM, with labels \"operation\" and \"status\"."};

}  // namespace metrics

class Metrics final {
 public:
  struct Options {
    TelemetryConfig config;
    std::string trust_domain;
    std::string host;  // This machine's name.
    std::string version;
    std::string attestor;  // The node's: "tpm_devid".
  };
  // What is asked for when the metrics are.
  struct Facts {
    const IdentityHealth& health;
    const roles::Report* report = nullptr;  // Null: serve has not told yet.
    bool ready = false;
    absl::Duration uptime;
  };

  explicit Metrics(Options options);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void NoteCall(const Metric& call, const absl::Status& status, absl::Duration elapsed);
  // Of a call of the upstream: also whether it was reached.
  void NoteUpstreamCall(const Metric& call, const absl::Status& status, absl::Duration elapsed);
  void NoteTpm(std::string_view operation, const absl::Status& status, absl::Duration elapsed);

  // In Prometheus's text format 0.0.4.
  std::string Text(const Facts& facts) const;
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  std::string NameOf(std::string_view name) const;
  void CountCall(const Metric& call, const absl::Status& status, absl::Duration elapsed,
                 std::map<std::string, std::string> labels);

  const Options options_;
  const std::map<std::string, std::string> labels_;  // Of every metric.
  const std::unique_ptr<prometheus::Registry> registry_;
  std::atomic<bool> reachable_ = false;
};

}  // namespace assay
