// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/fetch_jwt_svid.h"

#include <optional>
#include <utility>

#include "base/log.h"
#include "spiffe/spiffe_id.h"
#include "spiffe/workload.pb.h"

namespace assay {
namespace {

// What each identity costs a call that waits for it, besides the audience.
constexpr size_t kBytesOfIdentity = 512;

}  // namespace

// Fields that are not known are dropped with the message.
bool FetchJwtSvid::Parse(std::string_view bytes) {
  JWTSVIDRequest request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return false;
  }
  spiffe_id_ = std::move(*request.mutable_spiffe_id());
  audience_.assign(std::make_move_iterator(request.mutable_audience()->begin()),
                   std::make_move_iterator(request.mutable_audience()->end()));
  return true;
}

absl::Status FetchJwtSvid::Check() {
  auto audience = NormalizedAudience(std::move(audience_));
  if (!audience.ok()) {
    return Refused("Missing required audience parameter", audience.status());
  }
  audience_ = *std::move(audience);
  if (spiffe_id_.empty()) {
    return absl::OkStatus();
  }
  const absl::Status id =
      WithContext(SpiffeId::Parse(spiffe_id_).status(), "invalid requested SPIFFE ID");
  return id.ok() ? id : Refused("Invalid requested SPIFFE ID", id);
}

size_t FetchJwtSvid::kept_bytes() const {
  size_t bytes = spiffe_id_.capacity();
  for (const std::string& value : audience_) {
    bytes += sizeof(value) + value.capacity();
  }
  return bytes;
}

absl::StatusOr<SharedJwtToken> FetchJwtSvid::FindOrAsk(const EntryIndex::View& entry) {
  if (const auto at = got_.find(entry.id);
      at != got_.end() && at->second->spiffe_id == entry.spiffe_id &&
      at->second->expires_at > absl::ToUnixSeconds(context().clock.Now())) {
    return at->second;
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

bool FetchJwtSvid::AwaitsNewer(const JwtSvidKey& key) {
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

void FetchJwtSvid::TakeWhatIsThere() {
  renews_ = false;
  LookAgain();
}

void FetchJwtSvid::Look(IdentitySet& identities) {
  std::vector<Granted> granted;
  bool complete = true;
  for (const EntryIndex::Slot slot : identities.identities()) {
    const EntryIndex::View entry = context().state.entries().Get(slot);
    if (!spiffe_id_.empty() && entry.spiffe_id != spiffe_id_) {
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
    Fail(RefuseForLackOfIdentity(context(), call(), name(), identities));
  } else if (complete && MayReply()) {
    Answer(granted);
  } else if (!ended()) {
    Wait(granted);
  }
}

void FetchJwtSvid::Wait(const std::vector<Granted>& granted) {
  for (const Granted& one : granted) {
    if (one.token != nullptr) {
      got_.try_emplace(std::string(one.entry.id), one.token);
    }
  }
  Charge(kept_bytes() + granted.size() * (2 * kept_bytes() + kBytesOfIdentity));
}

void FetchJwtSvid::Answer(const std::vector<Granted>& granted) {
  JWTSVIDResponse response;
  for (const auto& [entry, token] : granted) {
    JWTSVID& svid = *response.add_svids();
    svid.set_spiffe_id(std::string(entry.spiffe_id));
    svid.set_svid(std::string(token->text.Reveal()));
    svid.set_hint(std::string(entry.hint));
    if (log::GetLevel() <= log::Level::kDebug) {
      log::Debug("Fetched JWT SVID",
                 {{"method", name()},
                  {"pid", call().peer().process.pid},
                  {"registered", true},
                  {"service", "WorkloadAPI"},
                  {"spiffe_id", entry.spiffe_id},
                  {"subsystem_name", "endpoints"},
                  {"ttl", token->expires_at - absl::ToUnixSeconds(context().clock.Now())}});
    }
  }
  Reply(response);
  for (JWTSVID& svid : *response.mutable_svids()) {
    Wipe(svid.mutable_svid()->data(), svid.svid().size());
  }
}

void FetchJwtSvid::OnJwtSvid(const JwtSvidKey& key, const SharedJwtToken& token) {
  got_[key.entry_id] = token;
  LookAgain();
}

void FetchJwtSvid::OnJwtFailure(const JwtSvidKey& key, std::string_view why) {
  if (renewing_.erase(key.entry_id) > 0) {
    TakeWhatIsThere();
    return;
  }
  const ServedState& state = context().state;
  const std::optional<EntryIndex::Slot> slot = state.entries().Find(key.entry_id);
  FailFetch(slot.has_value() ? state.entries().Get(*slot).spiffe_id : "", why);
}

void FetchJwtSvid::FailFetch(std::string_view spiffe_id, std::string_view why) {
  if (ended()) {
    return;  // Another of its identities has failed it.
  }
  const rpc::ProcessPeer& process = call().peer().process;
  if (context().refusals.MayWrite(process.uid)) {
    log::Error("Could not fetch JWT-SVID", {{"error", why},
                                            {"method", name()},
                                            {"pid", process.pid},
                                            {"registered", true},
                                            {"service", "WorkloadAPI"},
                                            {"spiffe_id", spiffe_id},
                                            {"subsystem_name", "endpoints"}});
  }
  Fail(Unavailable("could not fetch JWT-SVID: {}", why));
}

}  // namespace assay
