// SPDX-License-Identifier: GPL-3.0-or-later
// The JWT-SVIDs that callers can be given at once. The identity role says which are there; which
// are used is told to it, for these it replaces in time. Owned by the event loop's thread.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <memory>
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
#include "workload-api/jwt_wishes.h"
#include "workload-api/served_state.h"

namespace assay {

namespace roles {
class JwtChange;
class JwtSvid;
}  // namespace roles

struct JwtToken {
  std::string spiffe_id;
  Secret text;
  std::string key_id;  // Of the authority.
  int64_t expires_at = 0;
  int64_t late_at = 0;  // Half of its life is over.
};
using SharedJwtToken = std::shared_ptr<const JwtToken>;

class JwtTokens final {
 public:
  // How often the identity role is told that one is in use, and how long after its first use.
  static constexpr absl::Duration kUseInterval = absl::Seconds(20);
  static constexpr absl::Duration kUseDelay = absl::Seconds(1);
  // How long callers wait for a newer one when half of the life of the one here is over, and for
  // how long then nobody does, if none came.
  static constexpr absl::Duration kRenewalWait = absl::Seconds(1);
  static constexpr absl::Duration kRenewalInterval = absl::Seconds(20);

  struct Options {
    std::string trust_domain;
    JwtWishes::Tell tell;
  };

  // All must outlive it, and it the calls that wait.
  JwtTokens(EventLoop& loop, const Clock& clock, const ServedState& state, Options options)
      : loop_(loop),
        clock_(clock),
        state_(state),
        options_(std::move(options)),
        wishes_(loop, options_.tell) {}
  ~JwtTokens() { loop_.Cancel(use_timer_); }
  JwtTokens(const JwtTokens&) = delete;
  JwtTokens& operator=(const JwtTokens&) = delete;

  // Null when there is none that is of this SPIFFE ID and valid now. It counts as used.
  SharedJwtToken Find(const JwtSvidKey& key, std::string_view spiffe_id);
  // Whether the own bundle has the authority that signed it, and not as tainted.
  bool IsTrusted(const JwtToken& token) const;
  // How long a caller of one that is there is to wait for a newer one yet; zero unless half of its
  // life is over. All callers of one wait until the same moment, so that an upstream that is slow
  // or away holds nobody up any longer.
  absl::Duration TimeToRenew(const JwtSvidKey& key);
  void SetRenewalWait(absl::Duration wait) { renewal_wait_ = wait; }
  // Who waits for those that are not there.
  JwtWishes& wishes() { return wishes_; }

  // What the identity role tells.
  absl::Status Take(roles::JwtChange& change);
  // After a commit of the state: those that it does not grant any more go, and those signed by an
  // authority that the own bundle does not have, or has as tainted.
  void Reconcile();
  // The identity role is a new one, which has not been asked yet. What is here stays, for the
  // upstream may be away; as it does not know of these, they make way for what it tells.
  void AskAgain();

  size_t size() const { return tokens_.size(); }

 private:
  struct Held {
    SharedJwtToken token;
    absl::Duration use_told = -absl::InfiniteDuration();
    absl::Duration renewal_begun = -absl::InfiniteDuration();
  };

  absl::Status TakeSvid(roles::JwtSvid& message);
  void DropOneFromBefore();
  bool IsGranted(const JwtSvidKey& key, const Held& held) const;
  void TellUsed();

  EventLoop& loop_;
  const Clock& clock_;
  const ServedState& state_;
  const Options options_;
  absl::Duration renewal_wait_ = kRenewalWait;
  std::map<JwtSvidKey, Held> tokens_;
  std::set<JwtSvidKey> before_;  // Told by an identity role before this one; some are gone.
  JwtWishes wishes_;
  std::set<JwtSvidKey> used_;  // Not told yet.
  EventLoop::TimerId use_timer_ = 0;
};

}  // namespace assay
