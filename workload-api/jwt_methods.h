// SPDX-License-Identifier: GPL-3.0-or-later
// The JWT profile of the Workload API (SPIFFE Workload API §6): its calls. Owned by the event
// loop's thread.
#pragma once

#include <set>
#include <string>
#include <utility>

#include "rpc/call.h"
#include "workload-api/call_context.h"
#include "workload-api/jwt_tokens.h"
#include "workload-api/jwt_validator.h"
#include "workload-api/turns.h"
#include "workload-api/validate_jwt_svid.h"

namespace assay {

class JwtMethods final {
 public:
  using Options = ValidateJwtSvid::Options;
  // The curves' tables that validations leave behind are freed after so long.
  static constexpr absl::Duration kTidyDelay = absl::Seconds(10);

  // Loop and tokens must outlive it.
  JwtMethods(EventLoop& loop, Options options, JwtTokens& tokens)
      : loop_(loop),
        options_(std::move(options)),
        tokens_(tokens),
        turns_(loop, {.cost_per_round = ValidateJwtSvid::kCostPerRound,
                      .most_of_user = ValidateJwtSvid::kMostOfUser}) {}
  ~JwtMethods() { loop_.Cancel(tidy_timer_); }
  JwtMethods(const JwtMethods&) = delete;
  JwtMethods& operator=(const JwtMethods&) = delete;

  // What the context refers to, the flag and this must outlive the registry.
  void AddTo(rpc::Registry& registry, const CallContext& context,
             const bool& allow_unauthenticated_verifiers);
  void AllowForeignClaims(std::set<std::string, std::less<>> claims) {
    options_.allowed_foreign_claims = std::move(claims);
  }

 private:
  void TidyLater();

  EventLoop& loop_;
  Options options_;
  JwtTokens& tokens_;
  JwtValidator validator_;
  Turns turns_;
  EventLoop::TimerId tidy_timer_ = 0;
};

}  // namespace assay
