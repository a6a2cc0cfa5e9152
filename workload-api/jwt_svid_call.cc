// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/jwt_svid_call.h"

#include <optional>
#include <utility>

#include "base/log.h"
#include "workload-api/audit.h"

namespace assay {
namespace {

// What each identity costs a call that waits for it, besides the audience.
constexpr size_t kBytesOfIdentity = 512;

}  // namespace

absl::Status JwtSvidCall::Check() {
  auto audience = NormalizedAudience(std::move(audience_));
  if (!audience.ok()) {
    return Refused("Missing required audience parameter", audience.status());
  }
  audience_ = *std::move(audience);
  return absl::OkStatus();
}

size_t JwtSvidCall::kept_bytes() const {
  size_t bytes = 0;
  for (const std::string& value : audience_) {
    bytes += sizeof(value) + value.capacity();
  }
  return bytes;
}

absl::StatusOr<SharedJwtToken> JwtSvidCall::FindOrAsk(const EntryIndex::View& entry) {
  if (const auto at = got_.find(entry.id); at != got_.end()) {
    if (IsGood(at->second, entry)) {
      return at->second.token;
    }
    // It has waited for others too long: another is asked for.
    got_.erase(at);
    own_asked_.erase(std::string(entry.id));
  }
  const bool own = entry.jwt_svid_include_jti;
  const JwtSvidKey key{std::string(entry.id), audience_};
  SharedJwtToken token = own ? nullptr : tokens_.Find(key, entry.spiffe_id);
  if (token != nullptr) {
    return AwaitsNewer(key) ? nullptr : std::move(token);
  }
  if (!own || own_asked_.emplace(entry.id).second) {
    const auto kind = own ? JwtWishes::Kind::kOwn : JwtWishes::Kind::kShared;
    RETURN_IF_ERROR(tokens_.wishes().Add(key, kind, *this));
  }
  return nullptr;
}

bool JwtSvidCall::IsGood(Got& got, const EntryIndex::View& entry) const {
  const bool was_trusted = std::exchange(got.trusted, tokens_.IsTrusted(*got.token));
  return got.token->spiffe_id == entry.spiffe_id && (got.trusted || !was_trusted) &&
         got.token->expires_at > absl::ToUnixSeconds(context().clock.Now());
}

bool JwtSvidCall::AwaitsNewer(const JwtSvidKey& key) {
  const absl::Duration time = renews_ ? tokens_.TimeToRenew(key) : absl::ZeroDuration();
  if (time == absl::ZeroDuration() ||
      !tokens_.wishes().Add(key, JwtWishes::Kind::kNewer, *this).ok()) {
    return false;
  }
  renewing_.insert(key.entry_id);
  if (renewal_timer_ == 0) {
    renewal_timer_ = context().loop.After(time, [this] {
      renewal_timer_ = 0;
      TakeWhatIsThere();
    });
  }
  return true;
}

void JwtSvidCall::TakeWhatIsThere() {
  renews_ = false;
  LookAgain();
}

void JwtSvidCall::Look(IdentitySet& identities) {
  std::vector<Granted> granted;
  bool complete = true;
  for (const EntryIndex::Slot slot : identities.identities()) {
    const EntryIndex::View entry = context().state.entries().Get(slot);
    if (!Wants(entry)) {
      continue;
    }
    auto token = FindOrAsk(entry);
    if (!token.ok()) {
      FailFetch(entry.spiffe_id, Message(token.status()));
    }
    if (ended()) {
      return;
    }
    complete = complete && *token != nullptr;
    granted.push_back({entry, *std::move(token)});
  }
  if (granted.empty()) {
    Fail(RefuseForLackOfIdentity(context(), call(), name(), identities, asked_for()));
  } else if (complete && MayReply()) {
    const absl::Status declared = Declare(granted);
    declared.ok() ? Answer(granted) : Fail(declared);
  } else if (!ended()) {
    Wait(granted);
  }
}

void JwtSvidCall::Wait(const std::vector<Granted>& granted) {
  for (const Granted& one : granted) {
    if (one.token != nullptr) {
      got_.try_emplace(std::string(one.entry.id), Got{one.token, tokens_.IsTrusted(*one.token)});
    }
  }
  Charge(kept_bytes() + granted.size() * (2 * kept_bytes() + kBytesOfIdentity));
}

absl::Status JwtSvidCall::Declare(const std::vector<Granted>& granted) {
  if (context().audit == nullptr) {
    return absl::OkStatus();
  }
  std::vector<HandedOut> what;
  for (const auto& [entry, token] : granted) {
    what.push_back(JwtHandedOut(entry, audience_, token->text.Reveal(), token->expires_at));
  }
  return DeclareHandedOut(context(), call(), name(), what);
}

void JwtSvidCall::LogFetched(const Granted& one) {
  if (log::GetLevel() <= log::Level::kDebug) {
    log::Debug("Fetched JWT SVID",
               {{"method", name()},
                {"pid", call().peer().process.pid},
                {"registered", true},
                {"service", context().service},
                {"spiffe_id", one.entry.spiffe_id},
                {"subsystem_name", context().subsystem},
                {"ttl", one.token->expires_at - absl::ToUnixSeconds(context().clock.Now())}});
  }
}

void JwtSvidCall::OnJwtSvid(const JwtSvidKey& key, const SharedJwtToken& token) {
  got_.insert_or_assign(key.entry_id, Got{token, tokens_.IsTrusted(*token)});
  LookAgain();
}

void JwtSvidCall::OnJwtFailure(const JwtSvidKey& key, std::string_view why) {
  if (renewing_.erase(key.entry_id) > 0) {
    TakeWhatIsThere();
    return;
  }
  const ServedState& state = context().state;
  const std::optional<EntryIndex::Slot> slot = state.entries().Find(key.entry_id);
  FailFetch(slot.has_value() ? state.entries().Get(*slot).spiffe_id : "", why);
}

void JwtSvidCall::FailFetch(std::string_view spiffe_id, std::string_view why) {
  if (ended()) {
    return;  // Another of its identities has failed it.
  }
  const rpc::ProcessPeer& process = call().peer().process;
  if (context().refusals.MayWrite(process.uid)) {
    log::Error("Could not fetch JWT-SVID", {{"error", why},
                                            {"method", name()},
                                            {"pid", process.pid},
                                            {"registered", true},
                                            {"service", context().service},
                                            {"spiffe_id", spiffe_id},
                                            {"subsystem_name", context().subsystem}});
  }
  Fail(Unavailable("could not fetch JWT-SVID: {}", why));
}

}  // namespace assay
