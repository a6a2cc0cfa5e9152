// SPDX-License-Identifier: GPL-3.0-or-later
// ValidateJWTSVID (SPIFFE Workload API §6.2.3): whoever is attested may validate tokens of the own
// trust domain, and of those that its identities federate with. Owned by the event loop's thread.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "workload-api/check_turns.h"
#include "workload-api/jwt_validator.h"
#include "workload-api/unary_call.h"

namespace assay {

class ValidateJwtSvid final : public UnaryCall, public CheckWaiter {
 public:
  struct Options {
    std::string trust_domain;
    // Of another trust domain's tokens these claims are told besides "sub", "aud" and "exp".
    std::set<std::string, std::less<>> allowed_foreign_claims;
  };
  // All must outlive it.
  struct Parts {
    const Options& options;
    JwtValidator& validator;
    CheckTurns& turns;
  };

  ValidateJwtSvid(rpc::Call& call, const CallContext& context, const Parts& parts)
      : UnaryCall(call, context), parts_(parts) {}
  ~ValidateJwtSvid() override { parts_.turns.Forget(*this); }

  void OnTurn() override;

 protected:
  bool Parse(std::string_view bytes) override;
  absl::Status Check() override;
  size_t kept_bytes() const override { return token_.size() + audience_.capacity(); }
  void Look(IdentitySet& identities) override;
  std::string_view name() const override { return "ValidateJWTSVID"; }

 private:
  // Unless the signature is known, the call may have ended then, or wait for its turn.
  absl::Status CheckSignature(const JwtSvid& svid, const crypto::PublicKey& key);
  void Answer(const JwtSvid& svid);
  void Refuse(const absl::Status& why);

  const Parts parts_;
  std::string audience_;
  Secret token_;
  std::string checked_;  // The digest of the token and the key that has signed it.
  bool has_turn_ = false, awaits_turn_ = false;  // Just now.
};

}  // namespace assay
