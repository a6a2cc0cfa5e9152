// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/jwt_tokens.h"

#include <algorithm>
#include <optional>

#include "assay/roles.pb.h"
#include "workload-api/jwt_svid_key_convert.h"

namespace assay {
namespace {

// Of keys in one message, to stay well below a message's cap.
constexpr size_t kMaxUsedBytes = 64 << 10;

}  // namespace

SharedJwtToken JwtTokens::Find(const JwtSvidKey& key, std::string_view spiffe_id) {
  const auto at = tokens_.find(key);
  if (at == tokens_.end()) {
    return nullptr;
  }
  Held& held = at->second;
  if (held.token->spiffe_id != spiffe_id ||
      held.token->expires_at <= absl::ToUnixSeconds(clock_.Now())) {
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
  return held.token;
}

absl::Duration JwtTokens::TimeToRenew(const JwtSvidKey& key) {
  const auto at = tokens_.find(key);
  if (at == tokens_.end() || at->second.token->late_at > absl::ToUnixSeconds(clock_.Now())) {
    return absl::ZeroDuration();
  }
  const absl::Duration now = clock_.SinceBoot();
  absl::Duration& begun = at->second.renewal_begun;
  if (now - begun >= renewal_wait_ + kRenewalInterval) {
    begun = now;
  }
  return std::max(begun + renewal_wait_ - now, absl::ZeroDuration());
}

void JwtTokens::TellUsed() {
  use_timer_ = 0;
  while (!used_.empty()) {
    roles::ServeRequest message;
    auto told = used_.begin();
    for (size_t bytes = 0; told != used_.end() && bytes < kMaxUsedBytes; ++told) {
      roles::JwtSvidKey& added = *message.mutable_used_jwts()->add_keys();
      Fill(*told, added);
      bytes += added.ByteSizeLong();
    }
    if (!options_.tell(message)) {
      use_timer_ = loop_.After(kUseDelay, [this] { TellUsed(); });
      return;
    }
    used_.erase(used_.begin(), told);
  }
}

absl::Status JwtTokens::Take(roles::JwtChange& change) {
  for (const roles::JwtSvidKey& key : change.removed()) {
    tokens_.erase(KeyOf(key));
    used_.erase(KeyOf(key));
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
    const JwtSvidKey key = KeyOf(failure.key());
    for (JwtWaiter* waiter : wishes_.Take(key, failure.request())) {
      waiter->OnJwtFailure(key, failure.error());
    }
  }
  return absl::OkStatus();
}

absl::Status JwtTokens::TakeSvid(roles::JwtSvid& message) {
  const JwtSvidKey key = KeyOf(message.key());
  const auto token = std::make_shared<const JwtToken>(JwtToken{.spiffe_id = message.spiffe_id(),
                                                               .text = Secret(message.token()),
                                                               .key_id = message.key_id(),
                                                               .expires_at = message.expires_at(),
                                                               .late_at = message.late_at()});
  if (token->text.empty() || token->spiffe_id.empty()) {
    return InvalidArgument("a JWT-SVID without a token or a SPIFFE ID");
  }
  if (message.request() == 0) {
    before_.erase(key);
    if (tokens_.insert_or_assign(key, Held{.token = token}).second) {
      DropOneFromBefore();
    }
  }
  for (JwtWaiter* waiter : wishes_.Take(key, message.request())) {
    waiter->OnJwtSvid(key, token);
  }
  return absl::OkStatus();
}

void JwtTokens::DropOneFromBefore() {
  for (bool dropped = false; !dropped && !before_.empty();) {
    dropped = tokens_.erase(*before_.begin()) > 0;
    before_.erase(before_.begin());
  }
}

bool JwtTokens::IsGranted(const JwtSvidKey& key, const Held& held) const {
  const std::optional<EntryIndex::Slot> slot = state_.entries().Find(key.entry_id);
  if (!slot.has_value() || held.token->expires_at <= absl::ToUnixSeconds(clock_.Now())) {
    return false;
  }
  const EntryIndex::View entry = state_.entries().Get(*slot);
  if (entry.spiffe_id != held.token->spiffe_id || entry.jwt_svid_include_jti) {
    return false;
  }
  return IsTrusted(*held.token);
}

bool JwtTokens::IsTrusted(const JwtToken& token) const {
  const ServedState::Bundle* own = state_.FindBundle(options_.trust_domain);
  return own != nullptr &&
         std::any_of(own->jwt_authorities.begin(), own->jwt_authorities.end(),
                     [&](const auto& a) { return a.key_id == token.key_id && !a.tainted; });
}

void JwtTokens::Reconcile() {
  std::erase_if(tokens_, [this](const auto& item) { return !IsGranted(item.first, item.second); });
}

void JwtTokens::AskAgain() {
  wishes_.AskAgain();
  for (auto& [key, held] : tokens_) {
    held.use_told = -absl::InfiniteDuration();
    before_.insert(key);
  }
}

}  // namespace assay
