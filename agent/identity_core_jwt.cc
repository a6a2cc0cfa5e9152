// SPDX-License-Identifier: GPL-3.0-or-later
// IdentityCore: what JWT-SVIDs have to do with the rest.
#include <utility>

#include "agent/identity_core.h"
#include "assay/roles.pb.h"
#include "base/log.h"
#include "spiffe/registration_entry.h"
#include "workload-api/jwt_svid_key_convert.h"

namespace assay {
namespace {

// Serve asks for entries that it was told of, and checks the audience before.
absl::Status CheckKey(const roles::JwtSvidKey& message) {
  if (message.entry_id().size() > RegistrationEntry::kMaxIdBytes) {
    return InvalidArgument("the serve role broke the rules: an entry id of {} bytes",
                           message.entry_id().size());
  }
  const JwtSvidKey key = KeyOf(message);
  const auto normalized = NormalizedAudience(key.audience);
  return normalized.ok() && *normalized == key.audience
             ? absl::OkStatus()
             : InvalidArgument("the serve role broke the rules: an audience out of order");
}

absl::Status CheckKeys(const roles::ServeRequest& request) {
  if (request.has_mint_jwt()) {
    return CheckKey(request.mint_jwt().key());
  }
  if (request.has_forget_jwt()) {
    return CheckKey(request.forget_jwt().key());
  }
  for (const roles::JwtSvidKey& message : request.used_jwts().keys()) {
    RETURN_IF_ERROR(CheckKey(message));
  }
  return absl::OkStatus();
}

}  // namespace

JwtMinter::Surroundings IdentityCore::JwtSurroundings() {
  return {.loop = around_.loop,
          .clock = around_.clock,
          .upstream = around_.upstream,
          .entries = entries_,
          .bundles = bundles_,
          .run = around_.run_minting,
          .random = around_.random,
          .tell =
              [this](JwtNews news) {
                if (serve_ != nullptr && phase_ != Phase::kStopped) {
                  serve_->Tell(std::move(news));
                }
              },
          .on_failed =
              [this](const absl::Status& why) {
                const Refusal refusal = RefusalOf(why);
                if (refusal != Refusal::kNone && phase_ != Phase::kStopped) {
                  OnRefusal(refusal, why);
                }
              },
          .on_untrusted = [this] { bundle_schedule_.Hasten(options_.trust_domain.name(), Now()); },
          .on_done = [this] { Step(); }};
}

bool IdentityCore::OnJwtRequest(const roles::ServeRequest& request) {
  if (absl::Status permitted = CheckKeys(request); !permitted.ok()) {
    serve_->Close(permitted);
    return true;
  }
  if (request.has_mint_jwt()) {
    jwts_.Want(KeyOf(request.mint_jwt().key()), request.mint_jwt().request(),
               request.mint_jwt().renews());
    return true;
  }
  if (request.has_forget_jwt()) {
    jwts_.Forget(KeyOf(request.forget_jwt().key()), request.forget_jwt().request());
    return true;
  }
  for (const roles::JwtSvidKey& message : request.used_jwts().keys()) {
    jwts_.Use(KeyOf(message));
  }
  return request.has_used_jwts();
}

// All but those signed by what the new own bundle has, and not as tainted. A key id that names
// another key now is another authority.
void IdentityCore::DropJwtSvids(const TrustBundle& bundle) {
  std::map<std::string, std::string> before;
  if (const auto known = bundles_.find(options_.trust_domain.name()); known != bundles_.end()) {
    for (const JwtAuthority& authority : known->second.jwt_authorities) {
      before[authority.key_id] = authority.public_key.spki();
    }
  }
  std::set<std::string> tainted, good;
  for (const JwtAuthority& authority : bundle.jwt_authorities) {
    const auto at = before.find(authority.key_id);
    if (authority.tainted) {
      tainted.insert(authority.key_id);
    } else if (at == before.end() || at->second == authority.public_key.spki()) {
      good.insert(authority.key_id);
    }
  }
  if (const size_t count = jwts_.DropSignedBy(tainted); count > 0) {
    log::Info(
        "JWT-SVIDs were removed from the JWT cache because they were issued by a tainted authority",
        {{"count_jwt_svids", count}, {"subsystem_name", "cache_manager"}});
  }
  if (const size_t count = jwts_.DropNotSignedBy(good); count > 0) {
    log::Info("JWT-SVIDs were removed from the JWT cache because their authority is no more",
              {{"count_jwt_svids", count}, {"subsystem_name", "cache_manager"}});
  }
}

}  // namespace assay
