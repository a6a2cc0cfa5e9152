// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/validate_jwt_svid.h"

#include <span>
#include <utility>

#include "base/log.h"
#include "crypto/jws.h"
#include "spiffe/jwt_svid_key.h"
#include "spiffe/workload.pb.h"
#include "workload-api/jwt_answers.h"

namespace assay {
namespace {

constexpr size_t kMostLogged = 256;  // Of a caller's text.

}  // namespace

// Fields that are not known are dropped with the message.
bool ValidateJwtSvid::Parse(std::string_view bytes) {
  ValidateJWTSVIDRequest request;
  const bool parses = request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  token_ = Secret::TakeFrom(*request.mutable_svid());
  audience_ = std::move(*request.mutable_audience());
  return parses;
}

absl::Status ValidateJwtSvid::Check() {
  if (audience_.empty()) {
    return Refused("Missing required audience parameter",
                   InvalidArgument("audience must be specified"));
  }
  if (token_.empty()) {
    return Refused("Missing required svid parameter", InvalidArgument("svid must be specified"));
  }
  if (audience_.size() > JwtSvidKey::kMaxAudienceBytes) {
    return InvalidArgument("audience has {} bytes, at most {} are allowed", audience_.size(),
                           JwtSvidKey::kMaxAudienceBytes);
  }
  if (token_.size() > crypto::Jws::kMaxBytes) {
    return InvalidArgument("unable to parse JWT token: it has {} bytes, wanted at most {}",
                           token_.size(), crypto::Jws::kMaxBytes);
  }
  return absl::OkStatus();
}

void ValidateJwtSvid::Look(IdentitySet& identities) {
  const auto find = [&identities](const TrustDomain& trust_domain) {
    const ServedState::Bundle* bundle = identities.FindBundle(trust_domain.name());
    return bundle == nullptr ? std::span<const JwtAuthority>()
                             : std::span<const JwtAuthority>(bundle->jwt_authorities);
  };
  awaits_turn_ = false;
  const auto svid = VerifyJwtSvid(token_.Reveal(),
                                  {.find_authorities = find,
                                   .audience = audience_,
                                   .now = context().clock.Now(),
                                   .check_signature = [this](const auto& token, const auto& key) {
                                     return CheckSignature(token, key);
                                   }});
  if (ended() || awaits_turn_) {
    return;
  }
  if (!svid.ok()) {
    Refuse(svid.status());
  } else if (MayReply()) {
    Answer(*svid);
  }
}

absl::Status ValidateJwtSvid::CheckSignature(const JwtSvid& svid, const crypto::PublicKey& key) {
  std::string digest = JwtValidator::DigestOf(token_.Reveal(), key);
  if (checked_ == digest) {
    return absl::OkStatus();
  }
  if (!parts_.validator.Knows(digest)) {
    const CheckTurns::Turn turn =
        has_turn_ ? CheckTurns::Turn::kNow : parts_.turns.Take(call().peer().process.uid, *this);
    const absl::Status full = Unavailable("too many JWT-SVIDs of this user wait to be validated");
    if (turn == CheckTurns::Turn::kNever) {
      Fail(full);
    }
    if (turn != CheckTurns::Turn::kNow) {
      awaits_turn_ = true;
      return full;
    }
    RETURN_IF_ERROR(parts_.validator.Check(svid, key, digest));
  }
  checked_ = std::move(digest);
  return absl::OkStatus();
}

void ValidateJwtSvid::OnTurn() {
  has_turn_ = true;
  LookAgain();
  has_turn_ = false;
}

void ValidateJwtSvid::Answer(const JwtSvid& svid) {
  ValidateJWTSVIDResponse response;
  const absl::Status filled =
      FillValidated(svid,
                    {.all = svid.id().trust_domain().name() == parts_.options.trust_domain,
                     .others = parts_.options.allowed_foreign_claims},
                    response);
  if (!filled.ok()) {
    Refuse(filled);
    return;
  }
  if (log::GetLevel() <= log::Level::kDebug) {
    log::Debug("Successfully validated JWT", {{"audience", audience_.substr(0, kMostLogged)},
                                              {"method", name()},
                                              {"pid", call().peer().process.pid},
                                              {"service", "WorkloadAPI"},
                                              {"spiffe_id", response.spiffe_id()},
                                              {"subsystem_name", "endpoints"}});
  }
  Reply(response);
}

void ValidateJwtSvid::Refuse(const absl::Status& why) {
  const rpc::ProcessPeer& process = call().peer().process;
  if (context().refusals.MayWrite(process.uid)) {
    log::Warn("Failed to validate JWT", {{"audience", audience_.substr(0, kMostLogged)},
                                         {"error", why},
                                         {"method", name()},
                                         {"pid", process.pid},
                                         {"service", "WorkloadAPI"},
                                         {"subsystem_name", "endpoints"}});
  }
  Fail(why);
}

}  // namespace assay
