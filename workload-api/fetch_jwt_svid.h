// SPDX-License-Identifier: GPL-3.0-or-later
// FetchJWTSVID (SPIFFE Workload API §6.2.1): one JWT-SVID for the audience of each identity that
// the caller has, or of the one it names. Those that are there are given at once; for others it
// waits. Owned by the event loop's thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "workload-api/jwt_tokens.h"
#include "workload-api/unary_call.h"

namespace assay {

class FetchJwtSvid final : public UnaryCall, public JwtWaiter {
 public:
  // The tokens must outlive it.
  FetchJwtSvid(rpc::Call& call, const CallContext& context, JwtTokens& tokens)
      : UnaryCall(call, context), tokens_(tokens) {}
  ~FetchJwtSvid() override {
    context().loop.Cancel(renewal_timer_);
    tokens_.wishes().Forget(*this);
  }

  void OnJwtSvid(const JwtSvidKey& key, const SharedJwtToken& token) override;
  void OnJwtFailure(const JwtSvidKey& key, std::string_view why) override;

 protected:
  bool Parse(std::string_view bytes) override;
  absl::Status Check() override;
  size_t kept_bytes() const override;
  void Look(IdentitySet& identities) override;
  void OnPatienceEnded() override { FailFetch(spiffe_id_, "the upstream did not answer in time"); }
  std::string_view name() const override { return "FetchJWTSVID"; }

 private:
  struct Granted {
    EntryIndex::View entry;
    SharedJwtToken token;  // Null while it is being fetched.
  };

  absl::StatusOr<SharedJwtToken> FindOrAsk(const EntryIndex::View& entry);
  // Whether it waits for a newer one than the one that is there.
  bool AwaitsNewer(const JwtSvidKey& key);
  // What is there is given, though half of its life be over.
  void TakeWhatIsThere();
  // The SPIFFE ID is of the one that could not be had; empty: of any.
  void FailFetch(std::string_view spiffe_id, std::string_view why);
  void Wait(const std::vector<Granted>& granted);
  void Answer(const std::vector<Granted>& granted);

  JwtTokens& tokens_;
  std::string spiffe_id_;              // Asked for; empty: all.
  std::vector<std::string> audience_;  // Normalized once it is checked.
  // By entry: what is there while the others are being fetched, for the cache may not have room for
  // all; and who has been asked for one of this call's own.
  std::map<std::string, SharedJwtToken, std::less<>> got_;
  std::set<std::string, std::less<>> own_asked_;
  std::set<std::string, std::less<>> renewing_;  // Of those asked for a newer one.
  bool renews_ = true;                           // Not when that has taken too long, or has failed.
  EventLoop::TimerId renewal_timer_ = 0;
};

}  // namespace assay
