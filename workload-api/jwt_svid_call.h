// SPDX-License-Identifier: GPL-3.0-or-later
// A call that wants one JWT-SVID for its audience of each of some identities. Those that are there
// are given at once; for others it waits. Owned by the event loop's thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "workload-api/jwt_tokens.h"
#include "workload-api/unary_call.h"

namespace assay {

class JwtSvidCall : public UnaryCall, public JwtWaiter {
 public:
  // The tokens must outlive it.
  JwtSvidCall(rpc::Call& call, const CallContext& context, JwtTokens& tokens)
      : UnaryCall(call, context), tokens_(tokens) {}
  ~JwtSvidCall() override {
    context().loop.Cancel(renewal_timer_);
    tokens_.wishes().Forget(*this);
  }

  void OnJwtSvid(const JwtSvidKey& key, const SharedJwtToken& token) override;
  void OnJwtFailure(const JwtSvidKey& key, std::string_view why) override;

 protected:
  struct Granted {
    EntryIndex::View entry;
    SharedJwtToken token;  // Null while it is being fetched.
  };

  static constexpr std::string_view kNoAnswerInTime = "the upstream did not answer in time";

  // As the request has it; Check normalizes it.
  void SetAudience(std::vector<std::string> audience) { audience_ = std::move(audience); }
  absl::Status Check() override;
  size_t kept_bytes() const override;
  void Look(IdentitySet& identities) override;
  void OnPatienceEnded() override { FailFetch("", kNoAnswerInTime); }
  // Whether the call is for this identity.
  virtual bool Wants(const EntryIndex::View& /*entry*/) const { return true; }
  // The SPIFFE ID that it is for alone, if any.
  virtual std::string_view asked_for() const { return ""; }
  // Replies with these, which are all there.
  virtual void Answer(const std::vector<Granted>& granted) = 0;
  // Tells the log of one that was given.
  void LogFetched(const Granted& one);
  // The SPIFFE ID is of the one that could not be had; empty: of any.
  void FailFetch(std::string_view spiffe_id, std::string_view why);

 private:
  // One that is there while the others are being fetched.
  struct Got {
    SharedJwtToken token;
    bool trusted;  // When it was last looked at; at first the bundle here may be the older one.
  };

  absl::StatusOr<SharedJwtToken> FindOrAsk(const EntryIndex::View& entry);
  // Whether it may be given yet.
  bool IsGood(Got& got, const EntryIndex::View& entry) const;
  // Whether it waits for a newer one than the one that is there.
  bool AwaitsNewer(const JwtSvidKey& key);
  // What is there is given, though half of its life be over.
  void TakeWhatIsThere();
  void Wait(const std::vector<Granted>& granted);
  // Tells the audit of these, before they are given.
  absl::Status Declare(const std::vector<Granted>& granted);

  JwtTokens& tokens_;
  std::vector<std::string> audience_;
  // By entry: what is there, for the cache may not have room for all; and who has been asked for
  // one of this call's own.
  std::map<std::string, Got, std::less<>> got_;
  std::set<std::string, std::less<>> own_asked_;
  std::set<std::string, std::less<>> renewing_;  // Of those asked for a newer one.
  bool renews_ = true;                           // Not when that has taken too long, or has failed.
  EventLoop::TimerId renewal_timer_ = 0;
};

}  // namespace assay
