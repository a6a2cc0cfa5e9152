// SPDX-License-Identifier: GPL-3.0-or-later
// Where the key of the agent's own SVID is made and kept: one implementation for each KeyManager of
// the configuration. Its calls block. Owned by the thread that syncs; not thread-safe, unlike the
// signers.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "crypto/key.h"

namespace assay {

class AgentKeys {
 public:
  virtual ~AgentKeys() = default;

  // A new key, which nothing keeps yet.
  virtual absl::StatusOr<std::shared_ptr<const crypto::Signer>> Generate() = 0;
  // The kept key with this public half. NotFound when there is none, Aborted when it is lost for
  // good: another is to be made. Other errors may pass, or are the operator's to mend.
  virtual absl::StatusOr<std::shared_ptr<const crypto::Signer>> Load(
      const crypto::PublicKey& key) = 0;
  // Keeps the key that Generate or Load gave last, and the one that was kept before: until the SVID
  // on disk is of the new key, the old one must survive a crash. One that is kept already stays.
  virtual absl::Status Keep(const crypto::PublicKey& key) = 0;
  // Forgets all kept keys but this one; null: all.
  virtual absl::Status Retain(const crypto::PublicKey* key) = 0;
};

// KeyManager "memory": keeps nothing.
std::unique_ptr<AgentKeys> MakeMemoryKeys();
// KeyManager "disk": keys.json of this folder, which is made when it is written to. The file is
// spire-agent's, of mode 0600, and replaced whole; keys of others in it stay.
std::unique_ptr<AgentKeys> MakeDiskKeys(const std::string& folder);

}  // namespace assay
