// SPDX-License-Identifier: GPL-3.0-or-later
// What the agent keeps on disk, in the files of spire-agent, so that either takes over from the
// other: its SVID and bundle in agent-data.json, and with KeyManager "disk" its key in keys.json.
// Both are of mode 0600 and replaced whole. Not thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "crypto/certificate.h"
#include "crypto/key.h"

namespace assay {

// The agent's own SVID with its key.
struct AgentSvid {
  std::vector<crypto::Certificate> chain;  // Leaf first.
  std::shared_ptr<const crypto::PrivateKey> key;
  bool reattestable = false;
};

struct AgentState {
  std::optional<AgentSvid> svid;
  std::vector<crypto::Certificate> bundle;  // X.509 authorities; empty: none is known.
};

class AgentDisk final {
 public:
  // key_folder empty: the key is kept in memory alone. Folders are made when they are written to.
  AgentDisk(std::string data_folder, std::string key_folder)
      : data_folder_(std::move(data_folder)), key_folder_(std::move(key_folder)) {}

  // What is there. An SVID whose key is not is left out. DataLoss names a file that is damaged.
  absl::StatusOr<AgentState> Load();
  absl::Status Save(const AgentState& state);
  std::string data_path() const { return data_folder_ + "/agent-data.json"; }

 private:
  absl::StatusOr<std::shared_ptr<const crypto::PrivateKey>> LoadKeyOf(
      const crypto::Certificate& leaf);
  absl::Status SaveKey(const crypto::PrivateKey& key);
  // Removes the agent's keys from keys.json but for this slot.
  absl::Status DropKeys(int kept);
  std::string KeyPath() const { return key_folder_ + "/keys.json"; }

  const std::string data_folder_;
  const std::string key_folder_;
  int slot_ = -1;  // Of the current key in keys.json; -1: none.
};

}  // namespace assay
