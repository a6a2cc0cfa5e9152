// SPDX-License-Identifier: GPL-3.0-or-later
// The identities of callers with equal selectors, and the answers made of them: built once, when
// first asked for after a change, and shared by all calls of all those callers. Owned by the event
// loop's thread.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "rpc/call.h"
#include "spiffe/selector.h"
#include "workload-api/issued_svids.h"
#include "workload-api/served_state.h"
#include "workload-api/x509_answers.h"

namespace assay {

class IdentitySets;

// A stream that wants to know when an answer has changed. It may stop watching in the call.
class IdentityObserver {
 public:
  virtual ~IdentityObserver() = default;
  virtual void OnIdentitiesChanged() = 0;

 private:
  friend class IdentitySet;
  size_t place_ = SIZE_MAX;  // Among the set's observers.
};

class IdentitySet final {
 public:
  // How long a caller waits for SVIDs that are not signed yet.
  static constexpr absl::Duration kPatience = absl::Seconds(30);

  // Who is answered: the process itself, or a delegate that asks for it. No delegate gets the
  // identities of admins and downstream servers; to it hints may come more than once.
  enum class For { kProcess, kDelegate };
  struct Key {
    For whom = For::kProcess;
    std::vector<Selector> selectors;
    auto operator<=>(const Key&) const = default;
  };

  IdentitySet(IdentitySets& sets, Key key) : sets_(sets), key_(std::move(key)) {}
  IdentitySet(const IdentitySet&) = delete;
  IdentitySet& operator=(const IdentitySet&) = delete;

  const std::vector<Selector>& selectors() const { return key_.selectors; }

  // All of these are true of now: SVIDs that have expired since the last change count no more.
  // Whether any entry grants an identity.
  bool empty();
  // Whether every identity has an SVID that can be verified, and every entry that grants one has an
  // SVID: hints hide some from the first.
  bool complete();
  bool all_signed();
  // FetchX509SVID's answer of the SVIDs that there are; null when there are none, or nothing to
  // verify them by (an own bundle without authorities). For a delegate SubscribeToX509SVIDs', also
  // of none.
  rpc::SharedFrame x509_svids();
  // Whether there are identities, and none has an SVID.
  bool awaits_first();
  // FetchX509Bundles' answer, of a set without identities the own bundle alone; null as long as
  // that is unknown.
  rpc::SharedFrame x509_bundles();
  // FetchJWTBundles' answer, likewise.
  rpc::SharedFrame jwt_bundles();
  // The bundle of the own trust domain, or of one that the identities federate with; null when it
  // is neither, or unknown.
  const ServedState::Bundle* FindBundle(std::string_view trust_domain);
  // The entries that grant the identities, sorted by id (WLAPI-48), one for each hint.
  const std::vector<EntryIndex::Slot>& identities();
  // Those of them whose SVIDs x509_svids() has.
  std::vector<EntryIndex::Slot> answered();
  // All entries that grant identities, sorted by id: of those with one hint each (SDS and delegates
  // have no use for hints).
  const std::vector<EntryIndex::Slot>& granted() {
    Update();
    return matching_;
  }
  // The foreign trust domains whose bundles it may have; valid until the next change.
  std::set<std::string_view> federates_with() {
    Update();
    return FederatesWith();
  }

  // Counts when an identity that an answer had was no longer granted, or its SVID expired: callers
  // that were told before must not go on with what they have. Of identities() and of granted().
  uint64_t withdrawals();
  uint64_t all_withdrawals();

  // Asks for the SVIDs that are missing, or carried over, to be signed now.
  void Want();
  // Tells that the SVIDs there are in use, unless that was told lately.
  void TellUse();
  // Whether some of identities(), or of granted(), have been wanted for longer than a caller waits.
  bool overdue() const { return Overdue(of_identities_); }
  bool all_overdue() const { return Overdue(of_granted_); }

  void Observe(IdentityObserver& observer);
  void Forget(IdentityObserver& observer);
  bool observed() const { return !observers_.empty(); }

 private:
  friend class IdentitySets;

  // What the observers know. A call between two changes updates the set without telling them.
  struct Told {
    rpc::SharedFrame svids;
    rpc::SharedFrame bundles;
    rpc::SharedFrame jwt_bundles;
    std::vector<uint64_t> hidden;  // Versions of the SVIDs that no answer has; 0: it has none.
    size_t missing = 0;
    bool empty = true;
    bool ready = false;  // The state.
    bool operator==(const Told&) const = default;
  };

  Told Now() const;
  void Update();
  void Match();
  std::vector<uint64_t> Fingerprint() const;
  void BuildSvids();
  // Takes note of the SVID that it returns; null: it has none that is valid.
  const ServedState::Svid* NoteSvid(EntryIndex::Slot slot, int64_t now);
  std::string SvidsAnswer(const std::vector<X509SvidItem>& items) const;
  // Those of entries, as they are now.
  std::vector<IssuedSvids::Svid> IssuedOf(const std::vector<EntryIndex::Slot>& slots,
                                          int64_t now) const;
  bool Overdue(const IssuedSvids& svids) const;
  void BuildBundles();
  // The federated trust domains of all matching entries, sorted.
  std::set<std::string_view> FederatesWith() const;
  // Updates, and tells the observers when an answer is another one than they were told of.
  void UpdateAndTell();

  IdentitySets& sets_;
  const Key key_;
  uint64_t generation_ = 0;       // Of the last update; 0: never.
  uint64_t entries_version_ = 0;  // That was matched last.
  bool matched_ = false;
  std::vector<EntryIndex::Slot> matching_;        // All, but those that For excludes.
  std::vector<EntryIndex::Slot> identities_;      // Of these, one for each hint,
  std::vector<EntryIndex::Slot> hidden_;          // and the others.
  std::vector<EntryIndex::Slot> missing_;         // Identities without a valid SVID,
  std::vector<EntryIndex::Slot> hidden_missing_;  // hidden ones without,
  std::vector<EntryIndex::Slot> carried_;         // and all whose SVID is carried over.
  std::vector<uint64_t> hidden_versions_;         // As Told has them.
  IssuedSvids of_identities_;
  IssuedSvids of_granted_;
  std::vector<uint64_t> fingerprint_;
  int64_t earliest_expiry_ = INT64_MAX;  // Unix seconds, of the SVIDs in the answer.
  rpc::SharedFrame svids_;
  rpc::SharedFrame bundles_;
  rpc::SharedFrame jwt_bundles_;
  absl::Duration wanted_last_ = -absl::InfiniteDuration();
  absl::Duration use_told_ = -absl::InfiniteDuration();
  std::vector<IdentityObserver*> observers_;
  Told told_;
};

class IdentitySets final {
 public:
  struct Options {
    std::string trust_domain;
    // Asks the identity role to sign for these entries (ids); called on the loop's thread.
    std::function<void(const std::vector<std::string>& entry_ids)> want;
    // Tells it whose SVIDs some stream has open or a caller has just asked for, again at most every
    // kUseInterval; called on the loop's thread.
    std::function<void(const std::vector<std::string>& entry_ids)> used;
  };
  static constexpr absl::Duration kUseInterval = absl::Seconds(20);

  // All must outlive the sets, and the sets every IdentitySet of theirs.
  IdentitySets(const ServedState& state, const Clock& clock, EventLoop& loop, Options options);
  ~IdentitySets();
  IdentitySets(const IdentitySets&) = delete;
  IdentitySets& operator=(const IdentitySets&) = delete;

  // The set of processes with these selectors, normalized.
  std::shared_ptr<IdentitySet> Get(std::vector<Selector> selectors,
                                   IdentitySet::For whom = IdentitySet::For::kProcess);
  // After a commit of the state: tells the observers of all sets whose answers changed.
  void Refresh();
  // After the loss of the identity role, which knew what was wanted: asks again.
  void WantAgain();

  const ServedState& state() const { return state_; }

 private:
  friend class IdentitySet;

  struct ByKey {
    using is_transparent = void;
    using Key = IdentitySet::Key;
    static const Key& Of(const Key& key) { return key; }
    static const Key& Of(const std::shared_ptr<IdentitySet>& set) { return set->key_; }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return Of(a) < Of(b);
    }
  };

  void WatchExpiry(int64_t when);
  void OnExpiry();
  void TellUse();

  const ServedState& state_;
  const Clock& clock_;
  EventLoop& loop_;
  const Options options_;
  uint64_t generation_ = 1;  // Counts the commits.
  std::set<std::shared_ptr<IdentitySet>, ByKey> sets_;
  size_t sweep_at_;
  int64_t next_expiry_ = INT64_MAX;  // What the timer waits for.
  EventLoop::TimerId expiry_timer_ = 0;
  EventLoop::TimerId use_timer_ = 0;
};

}  // namespace assay
