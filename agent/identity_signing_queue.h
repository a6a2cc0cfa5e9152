// SPDX-License-Identifier: GPL-3.0-or-later
// Which entries to have signed next: first those that a caller waits for, then those whose SVID
// expires soonest, then those to have ready for later. One batch is away at a time; a failed one
// halves the next, a good one doubles it. Owned by the identity thread.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace assay {

enum class Urgency { kWaiting, kExpiring, kPrefetch };

class SigningQueue final {
 public:
  static constexpr size_t kMostAtOnce = 500;  // What the upstream signs in one call.
  // While a batch is away a caller has to wait for it, so those that nobody waits for are smaller.
  static constexpr size_t kMostPrefetched = 100;

  // Queues an entry, or moves it forward when it is queued with less urgency. With kExpiring the
  // soonest expiry goes first. One that is away is queued for after that.
  void Add(std::string_view id, Urgency urgency, absl::Time expires = absl::InfiniteFuture());
  // Forgets it, wherever it is.
  void Remove(std::string_view id);
  bool Contains(std::string_view id) const { return queued_.contains(std::string(id)); }

  // The next batch, empty when one is away or there is nothing to sign. Callers that wait never
  // share a batch with what is not urgent.
  std::vector<std::string> TakeBatch();
  // The batch came back; a failure of the whole call is not a success.
  void Finish(bool success);

  bool is_away() const { return is_away_; }
  // Whether some caller waits for what is queued.
  bool has_waiting() const {
    return !order_.empty() && std::get<0>(*order_.begin()) == Urgency::kWaiting;
  }
  size_t size() const { return queued_.size(); }
  bool empty() const { return queued_.empty(); }

 private:
  // The number keeps the order of arrival.
  using Place = std::tuple<Urgency, absl::Time, uint64_t, std::string>;

  std::set<Place> order_;
  std::unordered_map<std::string, std::set<Place>::iterator> queued_;
  uint64_t next_number_ = 0;
  size_t batch_limit_ = kMostAtOnce;
  bool is_away_ = false;
  size_t away_size_ = 0;
};

}  // namespace assay
