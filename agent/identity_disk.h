// SPDX-License-Identifier: GPL-3.0-or-later
// What the agent keeps on disk: its SVID and bundle in agent-data.json, spire-agent's file, so that
// either takes over from the other; it is of mode 0600 and replaced whole. The SVID's key is kept
// in step by the AgentKeys. Not thread-safe.
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/identity_keys.h"
#include "base/status.h"
#include "crypto/certificate.h"
#include "crypto/key.h"

namespace assay {

// The agent's own SVID with its key.
struct AgentSvid {
  std::vector<crypto::Certificate> chain;  // Leaf first.
  std::shared_ptr<const crypto::Signer> key;
  bool reattestable = false;
};

// How far the node is with finding out what to trust.
struct BootstrapProgress {
  bool had_bundle = false;  // It was attested once, so what it does now is to begin anew.
  // Since when there is no bundle that the upstream agrees with; the epoch: there is one.
  absl::Time since = absl::UnixEpoch();
  int attempts = 0;  // To be attested by a bundle from the bootstrap source.
  bool operator==(const BootstrapProgress&) const = default;
};

struct AgentState {
  std::optional<AgentSvid> svid;
  std::vector<crypto::Certificate> bundle;  // X.509 authorities; empty: none is known.
  BootstrapProgress bootstrap;
};

class AgentDisk final {
 public:
  // What is done with a file that this user may not read, for another agent wrote it as root.
  enum class Unreadable { kIsAnError, kIsSetAside };

  // What is done when no bundle can be read of what is there. Where a node without one trusts any
  // upstream, a damaged file must not make it one.
  enum class LostBundle { kCountsAsNone, kIsAnError };

  // The folder is made when it is written to.
  AgentDisk(std::string data_folder, std::unique_ptr<AgentKeys> keys,
            Unreadable unreadable = Unreadable::kIsAnError,
            LostBundle lost_bundle = LostBundle::kCountsAsNone)
      : data_folder_(std::move(data_folder)),
        keys_(std::move(keys)),
        unreadable_(unreadable),
        lost_bundle_(lost_bundle) {}

  // What is there. An SVID whose key is not there, or is lost, is left out, and the log says so. A
  // damaged file is set aside: the node is attested anew, by the bundle in it if that can be read.
  absl::StatusOr<AgentState> Load();
  absl::Status Save(const AgentState& state);
  std::string data_path() const { return data_folder_ + "/agent-data.json"; }
  AgentKeys& keys() { return *keys_; }

 private:
  // As far as it can be read.
  absl::Status LoadState(AgentState& state);
  absl::Status Write(const AgentState& state) const;

  const std::string data_folder_;
  const std::unique_ptr<AgentKeys> keys_;
  const Unreadable unreadable_;
  const LostBundle lost_bundle_;
};

}  // namespace assay
