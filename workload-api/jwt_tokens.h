// SPDX-License-Identifier: GPL-3.0-or-later
// The JWT-SVIDs that callers can be given at once, and the calls that wait for others: the identity
// role is asked once for each. It says which are there; which are used is told to it, for these it
// replaces in time. Owned by the event loop's thread.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/secret.h"
#include "base/status.h"
#include "spiffe/jwt_svid_key.h"
#include "workload-api/served_state.h"

namespace assay {

namespace roles {
class JwtChange;
class JwtSvid;
class JwtSvidKey;
class ServeRequest;
}  // namespace roles

struct JwtToken {
  std::string spiffe_id;
  Secret text;
  std::string key_id;  // Of the authority.
  int64_t expires_at = 0;

  JwtToken Clone() const { return {spiffe_id, text.Clone(), key_id, expires_at}; }
};

// A call that waits for JWT-SVIDs. In each of these it may stop to wait.
class JwtWaiter {
 public:
  virtual ~JwtWaiter() = default;
  // One of those it waits for, its own or one for others too. It may be gone soon: there may be
  // more callers than the cache has room for.
  virtual void OnJwtSvid(const JwtSvidKey& key, const JwtToken& token) = 0;
  // One of them cannot be had.
  virtual void OnJwtFailure(std::string_view why) = 0;

 private:
  friend class JwtTokens;
  std::set<JwtSvidKey> asked_;
  std::set<uint64_t> own_;
};

class JwtTokens final {
 public:
  // Keys that calls wait for, at most.
  static constexpr size_t kMostAsked = 4096;
  // How often the identity role is told that one is in use, and how long after its first use.
  static constexpr absl::Duration kUseInterval = absl::Seconds(20);
  static constexpr absl::Duration kUseDelay = absl::Seconds(1);

  struct Options {
    std::string trust_domain;
    // To the identity role; called on the loop's thread.
    std::function<void(const roles::ServeRequest& request)> tell;
  };

  // All must outlive it, and it the calls that wait.
  JwtTokens(EventLoop& loop, const Clock& clock, const ServedState& state, Options options)
      : loop_(loop), clock_(clock), state_(state), options_(std::move(options)) {}
  ~JwtTokens() { loop_.Cancel(use_timer_); }
  JwtTokens(const JwtTokens&) = delete;
  JwtTokens& operator=(const JwtTokens&) = delete;

  // Null when there is none that is of this SPIFFE ID and valid now. It counts as used; valid until
  // the next change.
  const JwtToken* Find(const JwtSvidKey& key, std::string_view spiffe_id);
  // Has one fetched, unless that is under way; the waiter is told. ResourceExhausted when too many
  // are asked for.
  absl::Status Ask(const JwtSvidKey& key, JwtWaiter& waiter);
  // Likewise one of the waiter's own.
  absl::Status AskOwn(const JwtSvidKey& key, JwtWaiter& waiter);
  // It waits no more.
  void Forget(JwtWaiter& waiter);

  // What the identity role tells.
  absl::Status Take(roles::JwtChange& change);
  // After a commit of the state: those that it does not grant any more go, and those signed by an
  // authority that the own bundle does not have, or has as tainted.
  void Reconcile();
  // The identity role is a new one, which has not been asked yet.
  void AskAgain();

  size_t size() const { return tokens_.size(); }

 private:
  struct Held {
    JwtToken token;
    absl::Duration use_told = -absl::InfiniteDuration();
  };
  struct Own {
    JwtSvidKey key;
    JwtWaiter* waiter;
  };

  absl::Status TakeSvid(roles::JwtSvid& message);
  bool IsGranted(const JwtSvidKey& key, const Held& held) const;
  void TellMint(const JwtSvidKey& key, uint64_t request);
  void TellUsed();

  EventLoop& loop_;
  const Clock& clock_;
  const ServedState& state_;
  const Options options_;
  std::map<JwtSvidKey, Held> tokens_;
  std::map<JwtSvidKey, std::set<JwtWaiter*>> waiters_;
  std::map<uint64_t, Own> own_;  // By the number of the request.
  uint64_t last_request_ = 0;
  std::set<JwtSvidKey> used_;  // Not told yet.
  EventLoop::TimerId use_timer_ = 0;
};

}  // namespace assay
