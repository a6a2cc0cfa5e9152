// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_jwt_minter.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/log.h"
#include "crypto/curve_tables.h"

namespace assay {
namespace {

constexpr std::string_view kSubsystem = "manager";
constexpr char kEntryChanged[] = "the registration entry has changed; try again";
constexpr char kTooMany[] = "too many JWT-SVIDs are being fetched";
// While a caller waits the upstream is tried at least so often.
constexpr absl::Duration kLongestWaitingRetry = absl::Seconds(5);
// One that has just failed is not tried again sooner, whoever asks.
constexpr absl::Duration kLeastRetry = absl::Milliseconds(500);

}  // namespace

void JwtMinter::Want(JwtSvidKey key, uint64_t request, bool renews) {
  const StoredEntry* entry = around_.entries.Find(key.entry_id);
  // Serve knows of the entry, or will be told: it has changed since.
  if (entry == nullptr || entry->for_store || entry->jwt_svid_include_jti != (request != 0)) {
    TellFailed(key, request, kEntryChanged);
    return;
  }
  const absl::Time now = around_.clock.Now();
  const ReadyJwtSvid* svid = svids_.Find(key);
  const bool is_valid = svid != nullptr && svid->expires > now;
  if (is_valid) {
    svids_.Use(key);
  }
  if (is_valid && !(renews && svid->refresh <= now)) {
    // It was on its way to serve.
    TellSvid(key, 0, *svid);
    return;
  }
  const std::optional<Number> number = FindOrAdd(key, request, /*replaces=*/is_valid);
  if (!number.has_value()) {
    TellFailed(key, request, kTooMany);
    return;
  }
  PendingMint& pending = queue_.At(*number);
  if (!std::exchange(pending.waiting, true)) {
    pending.deadline = Now() + kPatience;
    pending.ready_at = std::min(pending.ready_at, std::max(Now(), pending.failed_at + kLeastRetry));
  }
}

void JwtMinter::Forget(const JwtSvidKey& key, uint64_t request) {
  const std::optional<Number> number = queue_.Find(key, request);
  if (!number.has_value()) {
    return;
  }
  PendingMint& pending = queue_.At(*number);
  pending.waiting = false;
  pending.deadline = absl::InfiniteDuration();
  // What is away is looked at when it comes.
  if (!pending.away && (request != 0 || svids_.Find(key) == nullptr)) {
    queue_.Remove(*number);
  }
}

void JwtMinter::ForgetAll() {
  for (const Number number : queue_.All()) {
    const PendingMint& pending = queue_.At(number);
    Forget(JwtSvidKey(pending.key), pending.request);
  }
}

void JwtMinter::Use(const JwtSvidKey& key) {
  const StoredEntry* entry = around_.entries.Find(key.entry_id);
  if (svids_.Find(key) != nullptr) {
    svids_.Use(key);
  } else if (entry != nullptr && !entry->for_store && !entry->jwt_svid_include_jti &&
             svids_.size() + queue_.size() < most_svids_) {
    FindOrAdd(key, 0, /*replaces=*/false);
  }
}

std::optional<JwtMinter::Number> JwtMinter::FindOrAdd(const JwtSvidKey& key, uint64_t request,
                                                      bool replaces) {
  if (const std::optional<Number> known = queue_.Find(key, request); known.has_value()) {
    return known;
  }
  if (!replaces && !MakeRoom(key.entry_id)) {
    return std::nullopt;
  }
  return queue_.Add({.key = key, .request = request, .replaces = replaces, .ready_at = Now()});
}

bool JwtMinter::MakeRoom(std::string_view entry_id) {
  if (queue_.is_full()) {
    const std::optional<Number> other = queue_.WhoMakesWay(entry_id);
    if (!other.has_value()) {
      return false;
    }
    Fail(*other, kTooMany);
  }
  return true;
}

void JwtMinter::StopReplacing(const JwtSvidKey& key) {
  const std::optional<Number> number = queue_.Find(key, 0);
  if (!number.has_value() || !queue_.At(*number).replaces) {
    return;
  }
  const PendingMint& pending = queue_.At(*number);
  if (pending.away || (pending.waiting && MakeRoom(key.entry_id))) {
    queue_.TakePlace(*number);
  } else {
    Fail(*number, kTooMany);
  }
}

// Nothing comes of it.
void JwtMinter::Fail(Number number, std::string_view why) {
  const PendingMint& pending = queue_.At(number);
  if (pending.waiting) {
    TellFailed(pending.key, pending.request, std::string(why));
  }
  queue_.Remove(number);
}

void JwtMinter::SetMostSvids(size_t most) {
  most_svids_ = most;
  TellGone(svids_.Evict(most_svids_));
}

void JwtMinter::DropEntry(std::string_view entry_id) {
  const std::vector<JwtSvidKey> keys = svids_.OfEntry(entry_id);
  for (const JwtSvidKey& key : keys) {
    svids_.Remove(key);
  }
  TellGone(keys);
  // What is away is looked at when it comes.
  for (const Number number : queue_.OfEntry(entry_id)) {
    const PendingMint& pending = queue_.At(number);
    if (!pending.away && !(pending.waiting && IsGranted(pending))) {
      queue_.Remove(number);
    }
  }
}

bool JwtMinter::IsGranted(const PendingMint& pending) const {
  const StoredEntry* entry = around_.entries.Find(pending.key.entry_id);
  return entry != nullptr && !entry->for_store &&
         entry->jwt_svid_include_jti == (pending.request != 0);
}

size_t JwtMinter::DropSignedBy(const std::set<std::string>& key_ids) {
  return Drop(svids_.SignedBy(key_ids));
}

size_t JwtMinter::DropNotSignedBy(const std::set<std::string>& key_ids) {
  return Drop(svids_.NotSignedBy(key_ids));
}

size_t JwtMinter::Drop(const std::vector<JwtSvidKey>& keys) {
  for (const JwtSvidKey& key : keys) {
    svids_.Remove(key);
  }
  TellGone(keys);
  return keys.size();
}

void JwtMinter::Clear() {
  svids_.Clear();
  for (const Number number : queue_.All()) {
    if (!queue_.At(number).away) {
      queue_.Remove(number);
    }
  }
}

void JwtMinter::CollectDue() {
  const absl::Time now = around_.clock.Now();
  TellGone(svids_.TakeExpired(now));
  for (const JwtSvidKey& key : svids_.TakeDue(now)) {
    FindOrAdd(key, 0, /*replaces=*/true);
  }
}

void JwtMinter::BeginDue() {
  while (away_ < kMostAway) {
    const std::optional<Number> next = Next();
    if (!next.has_value() || queue_.At(*next).ready_at > Now()) {
      return;
    }
    Begin(*next);
  }
}

std::optional<JwtMinter::Number> JwtMinter::Next() const {
  using Replacing = MintQueue::Replacing;
  return queue_.Next(Now(), away_refreshing_ < kLeastRefreshing  ? Replacing::kFirst
                            : away_refreshing_ < kMostRefreshing ? Replacing::kLast
                                                                 : Replacing::kNone);
}

absl::Duration JwtMinter::NextTime() {
  absl::Duration next = absl::InfiniteDuration();
  if (away_ < kMostAway) {
    if (const std::optional<Number> ready = Next(); ready.has_value()) {
      next = queue_.At(*ready).ready_at;
    }
  }
  if (const auto deadline = svids_.NextDeadline(); deadline.has_value()) {
    next = std::min(next, Now() + (*deadline - around_.clock.Now()) + absl::Milliseconds(1));
  }
  return next;
}

void JwtMinter::Begin(Number number) {
  const PendingMint& pending = queue_.At(number);
  const StoredEntry* entry = around_.entries.Find(pending.key.entry_id);
  const auto own = around_.bundles.find(trust_domain_);
  if (entry == nullptr || own == around_.bundles.end()) {
    queue_.Remove(number);
    return;
  }
  queue_.Begin(number);
  ++away_;
  // Counted as long as it is away, though a caller come to wait for it.
  const bool refreshing = !pending.waiting;
  away_refreshing_ += refreshing ? 1 : 0;
  MintOrder order{.key = pending.key,
                  .spiffe_id = SpiffeIdOf(*entry),
                  .bundle = {.trust_domain = own->second.trust_domain,
                             .x509_authorities = {},
                             .jwt_authorities = own->second.jwt_authorities,
                             .sequence_number = {},
                             .refresh_hint = {}},
                  .random = around_.random()};
  around_.run([this, alive = alive_, number, refreshing, order = std::move(order)] {
    auto answer =
        std::make_shared<MintedAnswer>(MintJwtSvid(around_.upstream, around_.clock, order));
    crypto::FreeCurveTables();
    around_.loop.Post([this, alive, number, refreshing, spiffe_id = order.spiffe_id, answer] {
      if (*alive) {
        --away_;
        away_refreshing_ -= refreshing ? 1 : 0;
        const absl::Status status = answer->svid.status();
        OnMinted(number, spiffe_id, *answer);
        if (!status.ok()) {
          around_.on_failed(status);
        }
        around_.on_done();
      }
    });
  });
}

void JwtMinter::OnMinted(Number number, const std::string& spiffe_id, MintedAnswer& answer) {
  queue_.End(number);
  PendingMint& pending = queue_.At(number);
  if (!IsGranted(pending)) {
    queue_.Remove(number);
    return;
  }
  if (SpiffeIdOf(*around_.entries.Find(pending.key.entry_id)) != spiffe_id) {
    pending.ready_at = Now();  // The next is of the new identity.
    if (!pending.waiting) {
      queue_.Remove(number);
    }
    return;
  }
  // What it was verified by may have become untrusted while it was on its way.
  const auto own = around_.bundles.find(trust_domain_);
  const absl::Status good =
      CheckTrusted(answer, own == around_.bundles.end() ? std::span<const JwtAuthority>()
                                                        : own->second.jwt_authorities);
  if (good.ok()) {
    if (pending.failed) {
      log::Info("JWT-SVID has been fetched again", {{"entry_id", pending.key.entry_id},
                                                    {"spiffe_id", spiffe_id},
                                                    {"subsystem_name", kSubsystem}});
    }
    const PendingMint done = pending;
    queue_.Remove(number);  // First: what makes way in the cache may be this one.
    Take(done, *std::move(answer.svid));
    return;
  }
  if (answer.is_untrusted || answer.svid.ok()) {
    around_.on_untrusted();
  }
  const bool is_finding = answer.is_wrong || answer.is_untrusted || answer.svid.ok();
  if (!RetryLater(pending, good, is_finding ? FindingText(good) : RpcText(good))) {
    queue_.Remove(number);
  }
}

void JwtMinter::Take(const PendingMint& pending, ReadyJwtSvid svid) {
  if (pending.request != 0) {
    if (pending.waiting) {
      TellSvid(pending.key, pending.request, svid);
    }
    return;
  }
  TellSvid(pending.key, 0, svid);
  svids_.Put(pending.key, std::move(svid));
  if (pending.waiting) {
    svids_.Use(pending.key);
  }
  TellGone(svids_.Evict(most_svids_));
}

bool JwtMinter::RetryLater(PendingMint& pending, const absl::Status& why, const std::string& text) {
  const bool gives_up = !IsWorthARetry(why) || Now() >= pending.deadline;
  const bool is_first = !std::exchange(pending.failed, true);
  log::Write(is_first && !pending.waiting ? log::Level::kWarn : log::Level::kDebug,
             "Failed to fetch JWT SVID",
             {{"entry_id", pending.key.entry_id}, {"error", text}, {"subsystem_name", kSubsystem}});
  if (pending.waiting && gives_up) {
    TellFailed(pending.key, pending.request, "failed to fetch JWT SVID: " + text);
    pending.waiting = false;
    pending.deadline = absl::InfiniteDuration();
  }
  absl::Duration wait = pending.backoff.Next(around_.random);
  if (pending.waiting) {
    wait = std::min(
        {wait, kLongestWaitingRetry, std::max(pending.deadline - Now(), absl::ZeroDuration())});
  }
  pending.failed_at = Now();
  pending.ready_at = Now() + wait;
  // One that is still valid is to be replaced as soon as that can be.
  return pending.waiting || (pending.request == 0 && svids_.Find(pending.key) != nullptr);
}

void JwtMinter::TellSvid(const JwtSvidKey& key, uint64_t request, const ReadyJwtSvid& svid) {
  around_.tell({.key = key, .request = request, .svid = svid.Clone()});
}

void JwtMinter::TellFailed(const JwtSvidKey& key, uint64_t request, std::string error) {
  around_.tell({.key = key, .request = request, .svid = {}, .error = std::move(error)});
}

void JwtMinter::TellGone(const std::vector<JwtSvidKey>& keys) {
  for (const JwtSvidKey& key : keys) {
    StopReplacing(key);
    around_.tell({.key = key, .request = 0, .svid = {}});
  }
}

}  // namespace assay
