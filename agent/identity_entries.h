// SPDX-License-Identifier: GPL-3.0-or-later
// The registration entries that this node may serve, 100,000 of them in about 30 MB: each is kept
// as the bytes of its message to serve. Owned by the identity thread; while a SyncPass exists it
// may be read, and not be changed, so that the pass can look into it from the thread that syncs.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/slot_table.h"
#include "spiffe/registration_entry.h"
#include "upstream/upstream.h"

namespace assay {

struct StoredEntry {
  std::string bytes;  // Its id, then an assay.roles.Entry, serialized; empty: no entry.
  uint8_t id_size = 0;
  bool wants_prefetch = true;  // Neither switched off nor for a store outside.
  bool for_store = false;      // For a store outside.
  bool jwt_svid_include_jti = false;
  int64_t revision_number = 0;
  int64_t created_at = 0;

  std::string_view id() const { return std::string_view(bytes).substr(0, id_size); }
  std::string_view message() const { return std::string_view(bytes).substr(id_size); }
};

class SyncPass;

class EntryStore final {
 public:
  struct Update {
    std::string id;
    // Its SPIFFE ID is another one now, or it is for a store outside instead of for callers, or for
    // callers instead: they share no key.
    bool needs_new_svid;
  };
  struct Changes {
    std::vector<std::string> created;
    std::vector<Update> updated;
    std::vector<std::string> removed;
    bool empty() const { return created.empty() && updated.empty() && removed.empty(); }
  };

  EntryStore() = default;
  EntryStore(const EntryStore&) = delete;
  EntryStore& operator=(const EntryStore&) = delete;

  // Null when there is none of this id; valid until the next Apply.
  const StoredEntry* Find(std::string_view id) const;
  size_t size() const { return index_.size(); }

  // Takes what a pass that ended well has found. Says what is different now.
  Changes Apply(SyncPass& pass);

  // The entries by their place, for walks that pause: places of removed entries are null, and those
  // of new ones may be anywhere.
  size_t places() const { return slots_.size(); }
  const StoredEntry* At(size_t place) const {
    return slots_[place].bytes.empty() ? nullptr : &slots_[place];
  }

  // Ids of the entries that are for a store outside.
  const std::set<std::string, std::less<>>& for_stores() const { return for_stores_; }
  // Names of the foreign trust domains that some entry federates with.
  std::vector<std::string> FederatedDomains() const;

 private:
  friend class SyncPass;

  std::optional<uint32_t> PlaceOf(std::string_view id) const;
  uint32_t NewSlot();
  void Put(StoredEntry fresh, Changes& changes);
  void CountDomains(const StoredEntry& entry, int by);

  std::deque<StoredEntry> slots_;
  std::vector<uint32_t> free_;
  SlotTable index_;  // By id.
  std::set<std::string, std::less<>> for_stores_;
  std::map<std::string, int> domains_;  // How many entries name each.
  // Since when, after boot, the upstream has had a revision before the one here.
  std::map<std::string, absl::Duration, std::less<>> older_since_;
};

// One sync: compares what the upstream has with the store, and collects what is new. A revision
// before the one that is known is a replica's that lags behind, and not taken unless it stays so
// for ten minutes. The store must outlive it.
class SyncPass final : public EntrySink {
 public:
  // Now is since boot.
  SyncPass(const EntryStore& store, absl::Duration now)
      : store_(store), now_(now), seen_(store.places(), false) {}

  bool NeedsEntry(const EntryRevision& revision) override;
  void OnEntry(RegistrationEntry entry) override;

  // Foreign trust domains of the new and changed entries.
  const std::set<std::string>& new_domains() const { return new_domains_; }

 private:
  friend class EntryStore;

  std::optional<uint32_t> PlaceOf(std::string_view id);
  // Whether the known entry is to stay. Notes it.
  bool IsOlder(const StoredEntry& known, int64_t revision_number, int64_t created_at);

  const EntryStore& store_;
  const absl::Duration now_;
  uint32_t next_ = 0;       // Where the next one is, if they come in the store's order.
  bool in_order_ = true;    // The last one was where it was looked for.
  std::vector<bool> seen_;  // By the place in the store.
  std::vector<StoredEntry> fresh_;
  std::set<std::string, std::less<>> older_;  // Ids of those that stay as they are known.
  std::set<std::string> new_domains_;
};

// The SPIFFE ID in an entry's message.
std::string SpiffeIdOf(const StoredEntry& entry);

}  // namespace assay
