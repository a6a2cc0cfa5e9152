// SPDX-License-Identifier: GPL-3.0-or-later
// Has the upstream mint the JWT-SVIDs that callers wait for, and replaces those in use before half
// of their life is over: each key is asked for once at a time, a few at once, by turns of their
// entries, callers first but for two replacements. What fails is tried again while a caller
// waits, or the one at hand is valid. Owned by the identity thread.
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

#include "agent/identity_entries.h"
#include "agent/identity_jwt_svids.h"
#include "agent/identity_mint.h"
#include "agent/identity_mint_queue.h"
#include "agent/identity_timing.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "spiffe/trust_bundle.h"
#include "upstream/upstream.h"

namespace assay {

class JwtMinter final {
 public:
  // At a time; of them so many that nobody waits for, and so many of these however many wait.
  static constexpr size_t kMostAway = 8;
  static constexpr size_t kMostRefreshing = 4;
  static constexpr size_t kLeastRefreshing = 2;
  // How long a caller waits: a second less than serve has it wait, so that it is told why.
  static constexpr absl::Duration kPatience = absl::Seconds(29);

  struct Surroundings {
    EventLoop& loop;
    const Clock& clock;
    Upstream& upstream;
    const EntryStore& entries;
    const std::map<std::string, TrustBundle>& bundles;   // By the name of the trust domain.
    std::function<void(std::function<void()> job)> run;  // On threads of their own.
    Random random;
    std::function<void(JwtNews news)> tell;
    // A call has failed: maybe the upstream refused the agent itself.
    std::function<void(const absl::Status& why)> on_failed;
    // A JWT-SVID is by an authority that the own bundle does not have, or has as tainted: it may be
    // too old.
    std::function<void()> on_untrusted;
    // A job is done.
    std::function<void()> on_done;
  };

  // What the surroundings refer to must outlive it, and its jobs must have ended before it dies.
  JwtMinter(std::string trust_domain, size_t most_svids, Surroundings surroundings)
      : trust_domain_(std::move(trust_domain)),
        most_svids_(most_svids),
        around_(std::move(surroundings)) {}
  ~JwtMinter() { *alive_ = false; }
  JwtMinter(const JwtMinter&) = delete;
  JwtMinter& operator=(const JwtMinter&) = delete;

  // A caller waits; a request other than 0 is for one of its own; renews: for a newer one than that
  // of which half of the life is over. The audience is normalized.
  void Want(JwtSvidKey key, uint64_t request, bool renews);
  // No caller waits any more; of those that serve has told of, or of any.
  void Forget(const JwtSvidKey& key, uint64_t request);
  void ForgetAll();
  // Callers got it from serve. One that is not known, as after a restart, is made anew; not one
  // that has just made way, for which another would have to.
  void Use(const JwtSvidKey& key);
  void SetMostSvids(size_t most);
  // The entry is gone, or grants another identity now, of which who waits gets one then. Of one
  // that is gone nothing is said: serve is told of that, and knows who has no identity any more.
  void DropEntry(std::string_view entry_id);
  // Those that an authority of these key ids has signed, or none of these. Says how many.
  size_t DropSignedBy(const std::set<std::string>& key_ids);
  size_t DropNotSignedBy(const std::set<std::string>& key_ids);
  // Forgets everything; serve is told by others.
  void Clear();

  // Looks at what has expired and is due, and begins calls, if any may begin.
  void CollectDue();
  void BeginDue();
  // Since boot; when something is due next.
  absl::Duration NextTime();
  bool is_away() const { return away_ > 0; }

  const JwtSvidStore& svids() const { return svids_; }

 private:
  using Number = MintQueue::Number;
  size_t Drop(const std::vector<JwtSvidKey>& keys);
  // The one that is there, or a new one; nothing when there is no room for it.
  std::optional<Number> FindOrAdd(const JwtSvidKey& key, uint64_t request, bool replaces);
  // Whether there is a place for one of this entry, if need be another's.
  bool MakeRoom(std::string_view entry_id);
  // The one that was to be replaced is no more.
  void StopReplacing(const JwtSvidKey& key);
  void Fail(Number number, std::string_view why);
  // Whether the entry grants what was asked for.
  bool IsGranted(const PendingMint& pending) const;
  std::optional<Number> Next() const;
  void Begin(Number number);
  void OnMinted(Number number, const std::string& spiffe_id, MintedAnswer& answer);
  void Take(const PendingMint& pending, ReadyJwtSvid svid);
  // Whether it is to be tried again; the text is for who waits.
  bool RetryLater(PendingMint& pending, const absl::Status& why, const std::string& text);
  void TellFailed(const JwtSvidKey& key, uint64_t request, std::string error);
  void TellSvid(const JwtSvidKey& key, uint64_t request, const ReadyJwtSvid& svid);
  void TellGone(const std::vector<JwtSvidKey>& keys);
  absl::Duration Now() const { return around_.clock.SinceBoot(); }

  const std::string trust_domain_;
  size_t most_svids_;
  const Surroundings around_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  JwtSvidStore svids_;
  MintQueue queue_;
  size_t away_ = 0, away_refreshing_ = 0;
};

}  // namespace assay
