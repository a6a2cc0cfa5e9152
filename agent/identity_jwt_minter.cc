// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_jwt_minter.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "crypto/curve_tables.h"
#include "spiffe/jwt_svid.h"

namespace assay {
namespace {

constexpr std::string_view kSubsystem = "manager";
// While a caller waits the upstream is tried at least so often.
constexpr absl::Duration kLongestWaitingRetry = absl::Seconds(5);
// One that has just failed is not tried again sooner, whoever asks.
constexpr absl::Duration kLeastRetry = absl::Milliseconds(500);

std::string_view CodeName(absl::StatusCode code) {
  constexpr std::string_view kNames[] = {
      "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
      "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
      "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
      "DataLoss", "Unauthenticated"};
  const auto number = static_cast<size_t>(code);
  return number < std::size(kNames) ? kNames[number] : "Unknown";
}

// As the reference words it, whose callers look for it.
std::string RpcText(const absl::Status& status) {
  return fmt::format("rpc error: code = {} desc = {}", CodeName(status.code()), Message(status));
}

bool IsWorthARetry(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnimplemented:
      return false;
    default:
      return true;
  }
}

// What the upstream minted is what was asked for.
absl::Status CheckMinted(const JwtSvid& svid, const std::string& spiffe_id, const JwtSvidKey& key,
                         absl::Time now) {
  if (svid.id().ToString() != spiffe_id) {
    return InvalidArgument("it is of {}", svid.id().ToString());
  }
  for (const std::string& audience : key.audience) {
    RETURN_IF_ERROR(svid.CheckClaims(audience, now));
  }
  if (svid.expires_at() <= now) {
    return InvalidArgument("it has expired");
  }
  return absl::OkStatus();
}

}  // namespace

// On a thread of its own.
JwtMinter::Answer JwtMinter::Mint(const Surroundings& around, const JwtSvidKey& key,
                                  const std::string& spiffe_id, const TrustBundle& bundle,
                                  double random) {
  auto minted = around.upstream.MintJwtSvid(key.entry_id, key.audience);
  if (!minted.ok()) {
    return {minted.status()};
  }
  const absl::Time now = around.clock.Now();
  const absl::StatusOr<JwtSvid> svid = JwtSvid::Parse(minted->token.Reveal());
  absl::Status good = svid.ok() ? CheckMinted(*svid, spiffe_id, key, now) : svid.status();
  bool is_untrusted = false;
  if (good.ok()) {
    const JwtAuthority* authority = svid->FindAuthority(bundle.jwt_authorities);
    is_untrusted = authority == nullptr || authority->tainted;
    good = is_untrusted ? NotFound("the trust bundle has no authority {} that is not tainted",
                                   Quoted(svid->key_id()))
                        : svid->VerifySignature(authority->public_key);
  }
  if (!good.ok()) {
    return {Unavailable("jwt-svid of the upstream: {}", Message(good)), is_untrusted};
  }
  ReadyJwtSvid ready{.spiffe_id = spiffe_id,
                     .token = std::move(minted->token),
                     .key_id = svid->key_id(),
                     .expires = svid->expires_at(),
                     .refresh = {}};
  // Before half of what is left, each at a time of its own.
  ready.refresh = now + (ready.expires - now) * (0.4 + 0.1 * random);
  return {std::move(ready)};
}

void JwtMinter::Want(JwtSvidKey key, uint64_t request) {
  const StoredEntry* entry = around_.entries.Find(key.entry_id);
  // Serve knows of the entry, or will be told: it has changed since.
  if (entry == nullptr || entry->for_store || entry->jwt_svid_include_jti != (request != 0)) {
    TellFailed(key, request, "the registration entry has changed; try again");
    return;
  }
  if (const ReadyJwtSvid* svid = svids_.Find(key);
      svid != nullptr && svid->expires > around_.clock.Now()) {
    // It was on its way to serve.
    svids_.Use(key, Now());
    TellSvid(key, 0, *svid);
    return;
  }
  if (pending_.size() >= kMostPending) {
    TellFailed(key, request, "too many JWT-SVIDs are being fetched");
    return;
  }
  Pending& pending = Add(key, request);
  if (!std::exchange(pending.waiting, true)) {
    pending.deadline = Now() + kPatience;
    pending.ready_at = std::min(pending.ready_at, std::max(Now(), pending.failed_at + kLeastRetry));
  }
}

void JwtMinter::Use(const JwtSvidKey& key) {
  const StoredEntry* entry = around_.entries.Find(key.entry_id);
  if (svids_.Find(key) != nullptr) {
    svids_.Use(key, Now());
  } else if (entry != nullptr && !entry->for_store && !entry->jwt_svid_include_jti &&
             pending_.size() < kMostPending) {
    Add(key, 0);
  }
}

JwtMinter::Pending& JwtMinter::Add(const JwtSvidKey& key, uint64_t request) {
  if (const auto at = shared_.find(key); request == 0 && at != shared_.end()) {
    return pending_.at(at->second);
  }
  const Number number = next_number_++;
  if (request == 0) {
    shared_[key] = number;
  }
  return pending_
      .emplace(number, Pending{.key = key,
                               .request = request,
                               .deadline = absl::InfiniteDuration(),
                               .ready_at = Now(),
                               .failed_at = -absl::InfiniteDuration()})
      .first->second;
}

void JwtMinter::Remove(Number number) {
  const auto at = pending_.find(number);
  if (at->second.request == 0) {
    shared_.erase(at->second.key);
  }
  pending_.erase(at);
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
  for (auto at = pending_.begin(); at != pending_.end();) {
    const Number number = at->first;
    const Pending& pending = (at++)->second;
    if (pending.key.entry_id == entry_id && !pending.away) {
      if (pending.waiting) {
        TellFailed(pending.key, pending.request, "the registration entry has changed; try again");
      }
      Remove(number);
    }
  }
}

size_t JwtMinter::DropSignedBy(const std::set<std::string>& key_ids) {
  const std::vector<JwtSvidKey> keys = svids_.SignedBy(key_ids);
  for (const JwtSvidKey& key : keys) {
    svids_.Remove(key);
  }
  TellGone(keys);
  return keys.size();
}

void JwtMinter::Clear() {
  svids_.Clear();
  std::erase_if(pending_, [this](const auto& numbered) {
    if (numbered.second.away) {
      return false;
    }
    if (numbered.second.request == 0) {
      shared_.erase(numbered.second.key);
    }
    return true;
  });
}

void JwtMinter::CollectDue() {
  const absl::Time now = around_.clock.Now();
  TellGone(svids_.TakeExpired(now));
  for (const JwtSvidKey& key : svids_.TakeDue(now)) {
    Add(key, 0);
  }
}

void JwtMinter::BeginDue() {
  while (away_ < kMostAway) {
    const std::optional<Number> next = NextReady();
    if (!next.has_value() || pending_.at(*next).ready_at > Now()) {
      return;
    }
    Begin(*next);
  }
}

// One that a caller waits for, if it may begin; else what may begin soonest.
std::optional<JwtMinter::Number> JwtMinter::NextReady() const {
  std::optional<Number> next;
  absl::Duration at = absl::InfiniteDuration();
  for (const auto& [number, pending] : pending_) {
    if (pending.away || (!pending.waiting && away_refreshing_ >= kMostRefreshing)) {
      continue;
    }
    if (pending.waiting && pending.ready_at <= Now()) {
      return number;
    }
    if (pending.ready_at < at) {
      at = pending.ready_at;
      next = number;
    }
  }
  return next;
}

absl::Duration JwtMinter::NextTime() const {
  absl::Duration next = absl::InfiniteDuration();
  if (const std::optional<Number> ready = NextReady(); ready.has_value() && away_ < kMostAway) {
    next = pending_.at(*ready).ready_at;
  }
  if (const auto deadline = svids_.NextDeadline(); deadline.has_value()) {
    next = std::min(next, Now() + (*deadline - around_.clock.Now()) + absl::Milliseconds(1));
  }
  return next;
}

void JwtMinter::Begin(Number number) {
  Pending& pending = pending_.at(number);
  const StoredEntry* entry = around_.entries.Find(pending.key.entry_id);
  const auto own = around_.bundles.find(trust_domain_);
  if (entry == nullptr || own == around_.bundles.end()) {
    if (pending.waiting) {
      TellFailed(pending.key, pending.request, "the registration entry has changed; try again");
    }
    Remove(number);
    return;
  }
  pending.away = true;
  ++away_;
  // Counted as long as it is away, though a caller come to wait for it.
  const bool refreshing = !pending.waiting;
  away_refreshing_ += refreshing ? 1 : 0;
  TrustBundle bundle{.trust_domain = own->second.trust_domain,
                     .x509_authorities = {},
                     .jwt_authorities = own->second.jwt_authorities,
                     .sequence_number = {},
                     .refresh_hint = {}};
  around_.run([this, alive = alive_, number, refreshing, key = pending.key,
               spiffe_id = SpiffeIdOf(*entry), bundle = std::move(bundle),
               random = around_.random()] {
    auto answer = std::make_shared<Answer>(Mint(around_, key, spiffe_id, bundle, random));
    crypto::FreeCurveTables();
    around_.loop.Post([this, alive, number, refreshing, spiffe_id, answer] {
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

void JwtMinter::OnMinted(Number number, const std::string& spiffe_id, Answer& answer) {
  Pending& pending = pending_.at(number);
  pending.away = false;
  const StoredEntry* entry = around_.entries.Find(pending.key.entry_id);
  if (entry == nullptr || entry->for_store || SpiffeIdOf(*entry) != spiffe_id ||
      entry->jwt_svid_include_jti != (pending.request != 0)) {
    if (pending.waiting) {
      TellFailed(pending.key, pending.request, "the registration entry has changed; try again");
    }
  } else if (answer.svid.ok()) {
    if (pending.failed) {
      log::Info("JWT-SVID has been fetched again", {{"entry_id", pending.key.entry_id},
                                                    {"spiffe_id", spiffe_id},
                                                    {"subsystem_name", kSubsystem}});
    }
    Take(pending, *std::move(answer.svid));
  } else {
    if (answer.is_untrusted) {
      around_.on_untrusted();
    }
    if (RetryLater(pending, answer.svid.status())) {
      return;
    }
  }
  Remove(number);
}

void JwtMinter::Take(const Pending& pending, ReadyJwtSvid svid) {
  TellSvid(pending.key, pending.request, svid);
  if (pending.request != 0) {
    return;
  }
  svids_.Put(pending.key, std::move(svid), Now());
  if (pending.waiting) {
    svids_.Use(pending.key, Now());
  }
  TellGone(svids_.Evict(most_svids_));
}

bool JwtMinter::RetryLater(Pending& pending, const absl::Status& why) {
  const bool gives_up = !IsWorthARetry(why) || Now() >= pending.deadline;
  const bool is_first = !std::exchange(pending.failed, true);
  log::Write(is_first && !pending.waiting ? log::Level::kWarn : log::Level::kDebug,
             "Failed to fetch JWT SVID",
             {{"entry_id", pending.key.entry_id},
              {"error", RpcText(why)},
              {"subsystem_name", kSubsystem}});
  if (pending.waiting && gives_up) {
    TellFailed(pending.key, pending.request, "failed to fetch JWT SVID: " + RpcText(why));
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
    around_.tell({.key = key, .request = 0, .svid = {}});
  }
}

}  // namespace assay
