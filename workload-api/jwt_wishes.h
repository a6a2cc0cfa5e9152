// SPDX-License-Identifier: GPL-3.0-or-later
// The JWT-SVIDs that calls wait for. The identity role is asked once for each, by turns of their
// registration entries and no faster than it reads, and told when nobody waits any more. When there
// are too many, the entry that most are for makes way. Owned by the event loop's thread.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "base/fair_places.h"
#include "base/status.h"
#include "base/turn_queue.h"
#include "spiffe/jwt_svid_key.h"

namespace assay {

namespace roles {
class ServeRequest;
}  // namespace roles

struct JwtToken;

// A call that waits for JWT-SVIDs. In each of these it may stop to wait.
class JwtWaiter {
 public:
  virtual ~JwtWaiter() = default;
  // One of those it waits for, its own or one for others too. It may be gone soon: there may be
  // more callers than the cache has room for.
  virtual void OnJwtSvid(const JwtSvidKey& key, const std::shared_ptr<const JwtToken>& token) = 0;
  // One of them cannot be had.
  virtual void OnJwtFailure(const JwtSvidKey& key, std::string_view why) = 0;

 private:
  friend class JwtWishes;
  std::set<uint64_t> wishes_;
};

class JwtWishes final {
 public:
  static constexpr size_t kMost = 4096;
  // So often what the identity role did not take is told it again.
  static constexpr absl::Duration kRetry = absl::Milliseconds(20);

  // To the identity role; false: it is away, or has not read what it was told before.
  using Tell = std::function<bool(const roles::ServeRequest& request)>;

  // The loop must outlive it, and it the calls that wait.
  JwtWishes(EventLoop& loop, Tell tell) : loop_(loop), tell_(std::move(tell)) {}
  ~JwtWishes() { loop_.Cancel(retry_timer_); }
  JwtWishes(const JwtWishes&) = delete;
  JwtWishes& operator=(const JwtWishes&) = delete;

  enum class Kind {
    kShared,  // For whoever waits.
    kNewer,   // The same, and there is one, of which half of the life is over.
    kOwn,     // One of its own.
  };
  // It waits for this one, which is asked for unless that has been done. Another that waits may be
  // told that it cannot have its. ResourceExhausted when there are too many.
  absl::Status Add(const JwtSvidKey& key, Kind kind, JwtWaiter& waiter);
  // It waits no more.
  void Forget(JwtWaiter& waiter);
  // Those that wait for this one, or the one for which a request of this number was made: they do
  // so no more.
  std::vector<JwtWaiter*> Take(const JwtSvidKey& key, uint64_t request);
  // The identity role is a new one, which has not been asked yet.
  void AskAgain();

 private:
  using Request = std::pair<uint64_t, JwtSvidKey>;  // 0: for whoever waits.
  struct Wish {
    Request request;
    std::set<JwtWaiter*> waiters;
    bool told = false;
    bool renews = false;

    const std::string& entry() const { return request.second.entry_id; }
  };

  absl::Status MakeRoom(const std::string& entry_id);
  // Nobody waits for it any more.
  void Drop(uint64_t number);
  void Remove(std::map<uint64_t, Wish>::iterator at);
  // Tells what there is to tell, as far as it is taken.
  void Pump();
  bool TellForgotten();
  bool TellWanted();

  EventLoop& loop_;
  const Tell tell_;
  std::map<uint64_t, Wish> wishes_;
  std::map<Request, uint64_t> numbers_;
  FairPlaces places_;               // Of entries.
  TurnQueue<std::string> to_tell_;  // Entries and their wishes.
  std::set<Request> forgotten_;     // Told of, and the identity role does not know yet.
  uint64_t last_number_ = 0;
  EventLoop::TimerId retry_timer_ = 0;
};

}  // namespace assay
