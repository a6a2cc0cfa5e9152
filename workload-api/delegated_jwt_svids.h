// SPDX-License-Identifier: GPL-3.0-or-later
// FetchJWTSVIDs of the Delegated Identity API: JWT-SVIDs of each identity of whom a delegate asks
// for. Owned by the event loop's thread.
#pragma once

#include <string_view>
#include <vector>

#include "workload-api/delegate_gate.h"
#include "workload-api/jwt_svid_call.h"

namespace assay {

class DelegatedJwtSvids final : public JwtSvidCall {
 public:
  static constexpr std::string_view kName = "FetchJWTSVIDs";

  struct Parts {
    DelegateGate& gate;
    JwtTokens& tokens;
  };
  // The context's gate is that of the parts, which must outlive the call.
  DelegatedJwtSvids(rpc::Call& call, const CallContext& context, const Parts& parts)
      : JwtSvidCall(call, context, parts.tokens), gate_(parts.gate) {}

 protected:
  bool Parse(std::string_view bytes) override;
  size_t kept_bytes() const override { return 2 * selector_bytes_ + JwtSvidCall::kept_bytes(); }
  void Look(IdentitySet& identities) override;
  void Answer(const std::vector<Granted>& granted) override;
  std::string_view name() const override { return kName; }

 private:
  DelegateGate& gate_;
  size_t selector_bytes_ = 0;
};

}  // namespace assay
