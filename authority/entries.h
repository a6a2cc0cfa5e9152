// SPDX-License-Identifier: GPL-3.0-or-later
// The registration entries in memory, indexed for what agents ask, and the graph that says which of
// them an agent may serve: the entries under its own ID and under each ID so reached, and those
// under the aliases that its node's selectors fit. An entry that has ended gives nobody anything,
// though it is there until it is erased. Owned by the loop's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "spiffe/registration_entry.h"

namespace assay {

using EntryPtr = std::shared_ptr<const RegistrationEntry>;

// In the order of their IDs.
struct ByEntryId {
  bool operator()(const EntryPtr& a, const EntryPtr& b) const { return a->id < b->id; }
};

class EntrySet final {
 public:
  explicit EntrySet(const TrustDomain& trust_domain);

  // Null when there is none.
  EntryPtr Find(std::string_view id) const;
  // An entry of the same SPIFFE ID, parent and selectors; null when there is none.
  EntryPtr FindSimilar(const RegistrationEntry& entry) const;
  // Adds the entry, or replaces the one of its ID. The entry has a parent.
  void Put(RegistrationEntry entry);
  void Erase(std::string_view id);
  size_t size() const { return by_id_.size(); }
  const std::map<std::string_view, EntryPtr, std::less<>>& all() const { return by_id_; }
  // Grows with each change.
  uint64_t version() const { return version_; }

  // When, after now, the next entry ends, in Unix seconds.
  int64_t NextEnd(int64_t now) const;
  // Whether some entry gives this ID the right to call operators' methods, now in Unix seconds.
  bool IsAdmin(const SpiffeId& id, int64_t now) const;

  // What an agent on a node with these selectors (normalized) may serve at this time (Unix
  // seconds), in the order of the IDs. Aliases are not among them; what is under them is.
  std::vector<EntryPtr> AuthorizedFor(const SpiffeId& agent,
                                      const std::vector<Selector>& node_selectors,
                                      int64_t now) const;

 private:
  using Siblings = std::set<EntryPtr, ByEntryId>;

  const std::string alias_parent_;
  uint64_t version_ = 1;
  std::map<std::string_view, EntryPtr, std::less<>> by_id_;  // Keys point into the entries.
  std::unordered_map<std::string, Siblings> by_parent_;
  std::unordered_multimap<size_t, EntryPtr> by_content_;
  std::map<Selector, Siblings> aliases_;  // By their first selector.
  std::map<std::string, Siblings> admins_;
  std::multiset<int64_t> ends_;
};

// Remembers AuthorizedFor for each agent until an entry changes or ends or the node's selectors
// change, for agents ask every few seconds.
class AuthorizedEntries final {
 public:
  // In the order of the IDs.
  using View = std::shared_ptr<const std::vector<EntryPtr>>;

  explicit AuthorizedEntries(const EntrySet& entries) : entries_(entries) {}
  View For(const SpiffeId& agent, const std::vector<Selector>& node_selectors, int64_t now);
  void Forget(const SpiffeId& agent) { views_.erase(agent.ToString()); }

 private:
  struct Remembered {
    uint64_t version = 0;
    int64_t until = 0;  // Unix seconds.
    std::vector<Selector> node_selectors;
    View view;
  };
  const EntrySet& entries_;
  std::unordered_map<std::string, Remembered> views_;
};

// The entry of this ID among these; null when it is none of them.
EntryPtr FindIn(const std::vector<EntryPtr>& view, std::string_view id);

}  // namespace assay
