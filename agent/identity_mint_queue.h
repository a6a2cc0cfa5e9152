// SPDX-License-Identifier: GPL-3.0-or-later
// The JWT-SVIDs that are to be minted, or are with the upstream: each key once, and one for each
// call that wants its own. Registration entries take turns, callers before what is only replaced;
// when all places are taken, the entry that holds most makes way. Owned by the identity thread.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/identity_timing.h"
#include "base/fair_places.h"
#include "spiffe/jwt_svid_key.h"

namespace assay {

struct PendingMint {
  JwtSvidKey key;
  uint64_t request = 0;   // Not 0: for the call of this number.
  bool replaces = false;  // One that is valid: it holds a place of the cache, and none here.
  bool waiting = false;   // Some caller does.
  absl::Duration deadline = absl::InfiniteDuration();  // Then its patience is over.
  // Since boot: not before; and when it failed last.
  absl::Duration ready_at = absl::ZeroDuration(), failed_at = -absl::InfiniteDuration();
  Backoff backoff{absl::Milliseconds(500), absl::Minutes(1)};
  bool away = false;
  bool failed = false;  // Last time.
};

class MintQueue final {
 public:
  using Number = uint64_t;  // Of a pending one, in order of arrival.
  static constexpr size_t kMostPlaces = 4096;

  MintQueue() = default;
  MintQueue(const MintQueue&) = delete;
  MintQueue& operator=(const MintQueue&) = delete;

  std::optional<Number> Find(const JwtSvidKey& key, uint64_t request) const;
  // Of a number that is here.
  PendingMint& At(Number number) { return pending_.at(number).mint; }

  // One that is not here yet.
  Number Add(PendingMint pending);
  void Remove(Number number);
  // Whether a new one of this entry needs the place of another. Then the second says whose; if it
  // says nothing the entry holds most itself, and has to do without.
  bool is_full() const { return places_.size() >= kMostPlaces; }
  std::optional<Number> WhoMakesWay(std::string_view entry_id) const {
    return places_.YoungestOfLarger(entry_id);
  }
  size_t size() const { return pending_.size(); }
  std::vector<Number> OfEntry(std::string_view entry_id) const;
  std::vector<Number> All() const;

  // What is only replaced, for no caller waits for it.
  enum class Replacing { kNone, kLast, kFirst };
  // The one to begin now, or that ends the wait for when one may begin.
  std::optional<Number> Next(absl::Duration now, Replacing replacing) const;
  // It is with the upstream from here to there; its entry has had its turn.
  void Begin(Number number);
  void End(Number number);
  // What it was to replace is no more: it holds a place from now on.
  void TakePlace(Number number);

 private:
  using Wish = std::pair<JwtSvidKey, uint64_t>;
  // Of an entry.
  struct Turn {
    size_t pending = 0;
    uint64_t last = 0;
  };

  struct Held {
    PendingMint mint;
    Turn* turn;
  };

  std::map<Number, Held> pending_;
  std::map<Wish, Number> wishes_;
  std::map<std::string, Turn, std::less<>> turns_;  // Of entries that have any here.
  FairPlaces places_;                               // Of those that hold one, and are not away.
  Number last_number_ = 0;
  uint64_t last_turn_ = 0;
};

}  // namespace assay
