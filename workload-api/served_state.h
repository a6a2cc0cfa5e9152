// SPDX-License-Identifier: GPL-3.0-or-later
// What this node may serve, as the identity role told: entries, their SVIDs, and bundles. Changes
// gather unseen until a commit makes them visible at once, so that no caller ever sees half of one;
// a complete new state is built beside the old, which is served meanwhile. Such a state comes from
// an identity role that was started anew and has to sign again: until then the SVIDs of the old one
// serve. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/secret.h"
#include "base/status.h"
#include "spiffe/trust_bundle.h"
#include "workload-api/entry_index.h"

namespace assay {

namespace roles {
class StateChange;
}  // namespace roles

class ServedState final {
 public:
  struct Svid {
    std::string chain;  // DER certificates, leaf first.
    Secret key;         // PKCS#8 DER.
    int64_t expires_at = 0;
    uint64_t version = 0;
    // Of an identity role that has ended: the one that follows has not sent its own yet.
    bool carried_over = false;
  };
  struct Bundle {
    std::string x509_authorities;  // DER certificates.
    std::vector<JwtAuthority> jwt_authorities;
    std::string jwt_document;  // These, as a JWK set.
    uint64_t version = 0;
  };

  using Bundles = std::map<std::string, Bundle, std::less<>>;  // By trust domain name.

  ServedState();
  ~ServedState();
  ServedState(const ServedState&) = delete;
  ServedState& operator=(const ServedState&) = delete;

  // Takes one message's worth of changes. True when it was the commit of what has gathered.
  absl::StatusOr<bool> Receive(roles::StateChange change);
  // Whether there has been a commit: before it nothing is known, not even that nobody has an
  // identity.
  bool ready() const { return ready_; }

  const EntryIndex& entries() const;
  // Null when there is none.
  const Svid* FindSvid(EntryIndex::Slot slot) const;
  const Bundle* FindBundle(std::string_view trust_domain) const;
  const Bundles& bundles() const;

  // How many SVIDs there are.
  size_t svid_count() const;
  // The agent's own SVID: DER certificates, leaf first; empty: it has none.
  const std::string& agent_chain() const { return agent_chain_; }
  // How many SVIDs for stores outside the identity role has ready. They are not here.
  int store_svid_count() const { return store_svid_count_; }
  // Unix seconds of the last good sync; 0: there was none.
  int64_t last_sync() const { return last_sync_; }

  // Numbers that no two states of a thing share: of the set of entries as a whole, and of one
  // entry.
  uint64_t entries_version() const;
  uint64_t EntryVersion(EntryIndex::Slot slot) const;

 private:
  struct Tables;

  absl::Status Apply(const roles::StateChange& change, Tables& tables);
  absl::Status PutEntries(const roles::StateChange& change, Tables& tables);
  void PutSvids(const roles::StateChange& change, Tables& tables);
  absl::Status PutBundles(const roles::StateChange& change, Tables& tables);
  // Takes over the SVIDs of entries that are still the same, for which there is none yet.
  static void CarryOver(Tables& from, Tables& to);
  void Commit();

  std::unique_ptr<Tables> tables_;
  std::unique_ptr<Tables> staged_;            // A complete state on its way, after a reset.
  std::vector<roles::StateChange> gathered_;  // Changes to tables_ on their way.
  uint64_t version_ = 0;
  bool ready_ = false;
  std::string agent_chain_;
  int store_svid_count_ = 0;
  int64_t last_sync_ = 0;
};

}  // namespace assay
