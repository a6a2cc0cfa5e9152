// SPDX-License-Identifier: GPL-3.0-or-later
// ValidateJWTSVID (SPIFFE Workload API §6.2.3): whoever is attested may validate tokens of the own
// trust domain, and of those that its identities federate with. Owned by the event loop's thread.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "workload-api/jwt_validator.h"
#include "workload-api/turns.h"
#include "workload-api/unary_call.h"

namespace assay {

class ValidateJwtSvid final : public UnaryCall, public TurnTaker {
 public:
  // Signatures that are checked in a round of the loop, each of which costs 1.
  static constexpr size_t kCostPerRound = 8;
  // Calls of one user that wait for their turns; more are refused.
  static constexpr size_t kMostOfUser = 4096;

  struct Options {
    std::string trust_domain;
    // Of another trust domain's tokens these claims are told besides "sub", "aud" and "exp".
    std::set<std::string, std::less<>> allowed_foreign_claims;
  };
  // All must outlive it.
  struct Parts {
    const Options& options;
    JwtValidator& validator;
    Turns& turns;
  };

  ValidateJwtSvid(rpc::Call& call, const CallContext& context, const Parts& parts)
      : UnaryCall(call, context), parts_(parts) {}
  ~ValidateJwtSvid() override { parts_.turns.Forget(*this); }

  size_t OnTurn() override;

 protected:
  bool Parse(std::string_view bytes) override;
  absl::Status Check() override;
  size_t kept_bytes() const override;
  void Look(IdentitySet& identities) override;
  std::string_view name() const override { return "ValidateJWTSVID"; }

 private:
  void Validate(IdentitySet& identities);
  // Whether that is done; unless it is, the call has ended or waits for its turn.
  bool ParseToken();
  // An error too when the call has ended, or waits for its turn.
  absl::Status CheckSignature(const crypto::PublicKey& key);
  size_t cost() const;
  bool TakeTurn();
  void Answer();
  void Refuse(const absl::Status& why);

  const Parts parts_;
  std::string audience_;
  Secret token_;
  std::optional<JwtSvid> svid_;  // Once it is parsed, for later looks.
  std::string digest_;           // Of the token.
  std::string checked_by_;       // The SPKI of the key by which its signature is good.
  bool has_turn_ = false, awaits_turn_ = false;  // Just now.
};

}  // namespace assay
