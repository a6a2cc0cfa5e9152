// SPDX-License-Identifier: GPL-3.0-or-later
// Puts the X509-SVIDs of the entries that are for a store outside (store_svid) into that store, and
// takes them out when the entry is gone or is for another place. The store is the one that the
// entry's selectors have the type of; their values say where in it. Owned by the identity thread;
// the stores' calls run elsewhere, of each store one at a time, so that a slow store keeps no other
// waiting.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/identity_serve_link.h"
#include "agent/identity_timing.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "plugins/svid_store.h"

namespace assay {

namespace roles {
class Entry;
}  // namespace roles

class SvidStores final {
 public:
  struct Options {
    std::string trust_domain;
    // Of each store its calls, by its name. They block.
    std::map<std::string, std::unique_ptr<SvidStoreCalls>> stores;
    // Runs a job soon, and not on the loop's thread. A job may block; as many are under way as
    // there are stores.
    std::function<void(std::function<void()> job)> run;
    Random random;
  };

  // The loop and the clock must outlive it, and its jobs must have ended before it dies.
  SvidStores(Options options, EventLoop& loop, const Clock& clock);
  ~SvidStores();
  SvidStores(const SvidStores&) = delete;
  SvidStores& operator=(const SvidStores&) = delete;

  // Entries, SVIDs or bundles may have changed.
  void Update(const StateToServe& state);
  // The store may have forgotten what it was given.
  void OnRestart(const std::string& store);
  bool is_busy() const { return !busy_.empty(); }

 private:
  // A place in a store.
  struct Place {
    std::string store;
    std::vector<std::string> metadata;
    bool operator==(const Place&) const = default;
  };
  struct Record {
    std::string spiffe_id;
    absl::Status place_error;                // The selectors name no place.
    Place place;                             // Where the SVID is to be.
    std::shared_ptr<const StoredSvid> svid;  // Null: not signed yet.
    std::string digest;                      // Of all that the store is to have.
    bool is_gone = false;                    // The entry is.
    uint64_t revision = 0;                   // How often that has changed.
    // Where it may be: where it was put last, well or in vain. At first its place, for an agent
    // before this one may have put it there.
    std::optional<Place> held;
    uint64_t put = 0;      // The number of the call that put it last, well or in vain; 0: none did.
    uint64_t stored = 0;   // And of the last that did well in that place.
    uint64_t handled = 0;  // The revision of then, or that cannot be put.
    Backoff backoff{absl::Seconds(5), absl::Minutes(1)};
    absl::Duration not_before = -absl::InfiniteDuration();
    bool is_busy = false;  // A job of it is under way.
  };
  using Records = std::map<std::string, Record>;  // By the entry's id.
  // A call of a store.
  struct Job {
    std::string id;  // The record's.
    uint64_t revision = 0;
    bool puts = false;  // Else it deletes.
    Place place;
    std::shared_ptr<const StoredSvid> svid;  // Null where it deletes.
  };

  void Take(const StateToServe& state, const StoredEntry& entry);
  static void SetPlace(const roles::Entry& entry, Record& record);
  bool HasStore(const Record& record) const;
  std::shared_ptr<const StoredSvid> MakeSvid(const StateToServe& state, const roles::Entry& entry,
                                             const ReadySvid& svid) const;
  bool IsDue(const Record& record) const;
  // Begins what the stores that are free may do.
  void Step();
  // Whether it is to be taken out of where it is held,
  bool Leaves(const Record& record) const;
  // and of the entries with an SVID that stay in that place the one that was put there last and
  // well, else any of them; the end: none. It stands there if that was after who leaves was put,
  // who then lets go of it; else it is put first.
  Records::iterator StaysIn(const Place& place);
  // The next one, which is the same unless that is gone.
  Records::iterator LetGo(Records::iterator at);
  // The next call for what is due. What moves is deleted first, and put by a call after that.
  Job NextJob(const std::string& id, const Record& record) const;
  void Begin(const std::string& id, Record& record);
  void OnDone(const Job& job, const absl::Status& done);
  void OnPut(const Job& job, Record& record, const absl::Status& put);
  void OnDeleted(const Job& job, Record& record, const absl::Status& deleted);
  void RetryLater(Record& record);
  // Says why no store can do what is due.
  void Refuse(const std::string& id, Record& record);

  Options options_;
  EventLoop& loop_;
  const Clock& clock_;
  Records records_;
  std::set<std::string> busy_;  // The stores that a job is under way in.
  EventLoop::TimerId timer_ = 0;
  uint64_t puts_ = 0;  // So far.
};

}  // namespace assay
