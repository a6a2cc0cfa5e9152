// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/jwt_tokens.h"

#include <algorithm>
#include <optional>

#include "assay/roles.pb.h"

namespace assay {
namespace {

// Of keys in one message, to stay well below a message's cap.
constexpr size_t kMaxUsedBytes = 64 << 10;

JwtSvidKey KeyOf(const roles::JwtSvidKey& message) {
  return {.entry_id = message.entry_id(),
          .audience = {message.audience().begin(), message.audience().end()}};
}

void Fill(const JwtSvidKey& key, roles::JwtSvidKey& message) {
  message.set_entry_id(key.entry_id);
  message.mutable_audience()->Add(key.audience.begin(), key.audience.end());
}

}  // namespace

const JwtToken* JwtTokens::Find(const JwtSvidKey& key, std::string_view spiffe_id) {
  const auto at = tokens_.find(key);
  if (at == tokens_.end()) {
    return nullptr;
  }
  Held& held = at->second;
  if (held.token.spiffe_id != spiffe_id ||
      held.token.expires_at <= absl::ToUnixSeconds(clock_.Now())) {
    return nullptr;
  }
  const absl::Duration now = clock_.SinceBoot();
  if (now - held.use_told >= kUseInterval) {
    held.use_told = now;
    used_.insert(key);
    if (use_timer_ == 0) {
      use_timer_ = loop_.After(kUseDelay, [this] { TellUsed(); });
    }
  }
  return &held.token;
}

absl::Status JwtTokens::Ask(const JwtSvidKey& key, JwtWaiter& waiter) {
  const auto at = waiters_.find(key);
  if (at == waiters_.end() && waiters_.size() + own_.size() >= kMostAsked) {
    return ResourceExhausted("too many JWT-SVIDs are being fetched");
  }
  waiter.asked_.insert(key);
  if (at != waiters_.end()) {
    at->second.insert(&waiter);
    return absl::OkStatus();
  }
  waiters_[key].insert(&waiter);
  TellMint(key, 0);
  return absl::OkStatus();
}

absl::Status JwtTokens::AskOwn(const JwtSvidKey& key, JwtWaiter& waiter) {
  if (waiters_.size() + own_.size() >= kMostAsked) {
    return ResourceExhausted("too many JWT-SVIDs are being fetched");
  }
  const uint64_t request = ++last_request_;
  own_[request] = {key, &waiter};
  waiter.own_.insert(request);
  TellMint(key, request);
  return absl::OkStatus();
}

void JwtTokens::Forget(JwtWaiter& waiter) {
  for (const JwtSvidKey& key : std::exchange(waiter.asked_, {})) {
    const auto at = waiters_.find(key);
    if (at != waiters_.end() && at->second.erase(&waiter) > 0 && at->second.empty()) {
      waiters_.erase(at);
    }
  }
  for (const uint64_t request : std::exchange(waiter.own_, {})) {
    own_.erase(request);
  }
}

void JwtTokens::TellMint(const JwtSvidKey& key, uint64_t request) {
  roles::ServeRequest message;
  Fill(key, *message.mutable_mint_jwt()->mutable_key());
  message.mutable_mint_jwt()->set_request(request);
  options_.tell(message);
}

void JwtTokens::TellUsed() {
  use_timer_ = 0;
  roles::ServeRequest message;
  size_t bytes = 0;
  for (const JwtSvidKey& key : std::exchange(used_, {})) {
    roles::JwtSvidKey& added = *message.mutable_used_jwts()->add_keys();
    Fill(key, added);
    bytes += added.ByteSizeLong();
    if (bytes >= kMaxUsedBytes) {
      options_.tell(message);
      message.Clear();
      bytes = 0;
    }
  }
  if (bytes > 0) {
    options_.tell(message);
  }
}

absl::Status JwtTokens::Take(roles::JwtChange& change) {
  for (const roles::JwtSvidKey& key : change.removed()) {
    tokens_.erase(KeyOf(key));
  }
  absl::Status taken;
  for (roles::JwtSvid& message : *change.mutable_svids()) {
    if (taken.ok()) {
      taken = TakeSvid(message);
    }
    Wipe(message.mutable_token()->data(), message.token().size());
  }
  RETURN_IF_ERROR(taken);
  for (const roles::JwtFailure& failure : change.failures()) {
    std::set<JwtWaiter*> waiters;
    if (failure.request() == 0) {
      const auto at = waiters_.find(KeyOf(failure.key()));
      waiters = at == waiters_.end() ? std::set<JwtWaiter*>() : std::move(at->second);
      if (at != waiters_.end()) {
        waiters_.erase(at);
      }
    } else if (const auto at = own_.find(failure.request()); at != own_.end()) {
      waiters.insert(at->second.waiter);
    }
    for (JwtWaiter* waiter : waiters) {
      waiter->OnJwtFailure(failure.error());
    }
  }
  return absl::OkStatus();
}

absl::Status JwtTokens::TakeSvid(roles::JwtSvid& message) {
  const JwtSvidKey key = KeyOf(message.key());
  JwtToken token{.spiffe_id = message.spiffe_id(),
                 .text = Secret(message.token()),
                 .key_id = message.key_id(),
                 .expires_at = message.expires_at()};
  if (token.text.empty() || token.spiffe_id.empty()) {
    return InvalidArgument("a JWT-SVID without a token or a SPIFFE ID");
  }
  if (message.request() != 0) {
    if (const auto at = own_.find(message.request()); at != own_.end() && at->second.key == key) {
      JwtWaiter& waiter = *at->second.waiter;
      waiter.own_.erase(at->first);
      own_.erase(at);
      waiter.OnJwtSvid(key, token);
    }
    return absl::OkStatus();
  }
  const JwtToken& kept =
      tokens_.insert_or_assign(key, Held{.token = std::move(token)}).first->second.token;
  if (const auto at = waiters_.find(key); at != waiters_.end()) {
    const std::set<JwtWaiter*> waiters = std::move(at->second);
    waiters_.erase(at);
    for (JwtWaiter* waiter : waiters) {
      waiter->asked_.erase(key);
    }
    for (JwtWaiter* waiter : waiters) {
      waiter->OnJwtSvid(key, kept);
    }
  }
  return absl::OkStatus();
}

bool JwtTokens::IsGranted(const JwtSvidKey& key, const Held& held) const {
  const std::optional<EntryIndex::Slot> slot = state_.entries().Find(key.entry_id);
  if (!slot.has_value() || held.token.expires_at <= absl::ToUnixSeconds(clock_.Now())) {
    return false;
  }
  const EntryIndex::View entry = state_.entries().Get(*slot);
  if (entry.spiffe_id != held.token.spiffe_id || entry.jwt_svid_include_jti) {
    return false;
  }
  const ServedState::Bundle* own = state_.FindBundle(options_.trust_domain);
  return own != nullptr &&
         std::any_of(own->jwt_authorities.begin(), own->jwt_authorities.end(),
                     [&](const auto& a) { return a.key_id == held.token.key_id && !a.tainted; });
}

void JwtTokens::Reconcile() {
  std::erase_if(tokens_, [this](const auto& item) { return !IsGranted(item.first, item.second); });
}

void JwtTokens::AskAgain() {
  for (const auto& [key, waiters] : waiters_) {
    TellMint(key, 0);
  }
  for (const auto& [request, own] : own_) {
    TellMint(own.key, request);
  }
  for (auto& [key, held] : tokens_) {
    held.use_told = -absl::InfiniteDuration();
  }
}

}  // namespace assay
