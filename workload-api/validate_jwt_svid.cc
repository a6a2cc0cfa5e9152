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
// Of a token: reading so much takes about as long as checking a signature.
constexpr size_t kBytesOfTurn = 4 << 10;
// A token and what is kept of it when it is parsed, by the size of the token: the text once more,
// its claims, and its audience.
constexpr size_t kParsedSize = 4;

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

size_t ValidateJwtSvid::kept_bytes() const {
  const size_t of_token = svid_.has_value() ? kParsedSize * token_.size() +
                                                  svid_->audience().size() * sizeof(std::string)
                                            : token_.size();
  return of_token + audience_.capacity();
}

// One turn is for all that a look does.
void ValidateJwtSvid::Look(IdentitySet& identities) {
  Validate(identities);
  has_turn_ = false;
}

void ValidateJwtSvid::Validate(IdentitySet& identities) {
  awaits_turn_ = false;
  if (!svid_.has_value() && !ParseToken()) {
    return;
  }
  const auto find = [&identities](const TrustDomain& trust_domain) {
    const ServedState::Bundle* bundle = identities.FindBundle(trust_domain.name());
    return bundle == nullptr ? std::span<const JwtAuthority>()
                             : std::span<const JwtAuthority>(bundle->jwt_authorities);
  };
  const absl::Status valid = VerifyJwtSvid(
      *svid_,
      {.find_authorities = find,
       .audience = audience_,
       .now = context().clock.Now(),
       .check_signature = [this](const auto&, const auto& key) { return CheckSignature(key); }});
  if (ended()) {
    return;
  }
  if (awaits_turn_) {
    Charge(kept_bytes());
  } else if (!valid.ok()) {
    Refuse(valid);
  } else if (MayReply()) {
    Answer();
  } else {
    Charge(kept_bytes());
  }
}

// A small token that was good before costs less than its turn would.
bool ValidateJwtSvid::ParseToken() {
  const bool is_small = token_.size() <= kBytesOfTurn;
  if (is_small && digest_.empty()) {
    digest_ = JwtValidator::DigestOf(token_.Reveal());
  }
  if (!(is_small && parts_.validator.Remembers(digest_)) && !TakeTurn()) {
    return false;
  }
  if (digest_.empty()) {
    digest_ = JwtValidator::DigestOf(token_.Reveal());
  }
  absl::StatusOr<JwtSvid> svid = JwtSvid::Parse(token_.Reveal());
  if (!svid.ok()) {
    Refuse(svid.status());
    return false;
  }
  svid_ = *std::move(svid);
  return true;
}

absl::Status ValidateJwtSvid::CheckSignature(const crypto::PublicKey& key) {
  if (checked_by_ == key.spki()) {
    return absl::OkStatus();
  }
  if (!parts_.validator.Knows(digest_, key)) {
    if (!TakeTurn()) {
      return Unavailable("the signature has not been checked yet");
    }
    RETURN_IF_ERROR(parts_.validator.Check({*svid_, digest_}, key, call().peer().process.uid));
  }
  checked_by_ = key.spki();
  return absl::OkStatus();
}

size_t ValidateJwtSvid::cost() const { return token_.size() / kBytesOfTurn; }

bool ValidateJwtSvid::TakeTurn() {
  if (has_turn_) {
    return true;
  }
  switch (parts_.turns.Take(call().peer().process.uid, *this, cost())) {
    case Turns::Turn::kNow:
      has_turn_ = true;
      break;
    case Turns::Turn::kLater:
      awaits_turn_ = true;
      break;
    case Turns::Turn::kNever:
      Fail(Unavailable("too many JWT-SVIDs of this user wait to be validated"));
      break;
  }
  return has_turn_;
}

size_t ValidateJwtSvid::OnTurn() {
  has_turn_ = true;
  LookAgain();
  has_turn_ = false;
  return cost();
}

void ValidateJwtSvid::Answer() {
  ValidateJWTSVIDResponse response;
  const absl::Status filled =
      FillValidated(*svid_,
                    {.all = svid_->id().trust_domain().name() == parts_.options.trust_domain,
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
