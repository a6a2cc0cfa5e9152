// SPDX-License-Identifier: GPL-3.0-or-later
// A workload attestor that is an external plugin: it is told a process's number, and says values of
// selectors whose type is its name. Thread-safe.
#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "attestors/workload/workload_attestor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "plugins/connection.h"

namespace assay {

class WorkloadAttestorPlugin final : public WorkloadAttestor {
 public:
  // For one attestation in all, of which at most half to wait for a plugin that is being started.
  // Many a caller gives up after 5 s: where one plugin hangs, it has by then what the others found.
  static constexpr absl::Duration kTimeout = absl::Seconds(4);
  static constexpr size_t kMaxSelectors = 1024;
  static constexpr size_t kMaxSelectorBytes = 64 << 10;  // In all.

  // One that did not answer in time is not asked for that user's processes for so long; longer each
  // time, until it answers or is another process. By user, for whoever can make a plugin wait must
  // not have it rest for the others. While it rests for so many, who could have all of the
  // attestors' threads wait for it, it rests for all.
  static constexpr size_t kSlowUsers = 8;
  static constexpr absl::Duration kFirstRest = absl::Seconds(1);
  static constexpr absl::Duration kLongestRest = absl::Seconds(8);

  // The connection and the clock must outlive it.
  WorkloadAttestorPlugin(PluginConnection& connection, const Clock& clock,
                         absl::Duration timeout = kTimeout)
      : connection_(connection), clock_(clock), timeout_(timeout) {}

  std::string_view type() const override { return connection_.name(); }
  // Aborted, at once, while it is not asked.
  absl::StatusOr<std::vector<Selector>> Attest(const Subject& subject) override;
  bool ReadsProcess() const override { return true; }
  bool MayBlock(const Subject& /*subject*/) override { return true; }

 private:
  // Of what did not answer in time.
  struct Slowness {
    absl::Duration rest;        // The newest.
    absl::Duration rest_until;  // By the clock's SinceBoot.
  };
  static constexpr size_t kMaxSlow = 1024;  // Users; more have no rest.

  // How long it will rest for all; zero: it does not.
  absl::Duration RestForAll(absl::Duration now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckRested(const std::shared_ptr<grpc::Channel>& channel, uid_t user);
  void OnAnswered(uid_t user, absl::Duration begun);
  void OnTimeout(uid_t user, absl::Duration begun);
  // How long it rests for all, where that has begun now; else zero.
  absl::Duration Rest(uid_t user, absl::Duration begun);

  PluginConnection& connection_;
  const Clock& clock_;
  const absl::Duration timeout_;
  Mutex mutex_;
  std::weak_ptr<grpc::Channel> channel_ ABSL_GUARDED_BY(mutex_);  // What was asked last.
  std::map<uid_t, Slowness> slow_ ABSL_GUARDED_BY(mutex_);        // By whose processes it was of.
};

}  // namespace assay
