// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/server_identity.h"

#include <gmock/gmock.h>

#include "authority/ca_rotation.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

class ServerIdentityTest : public testing::Test {
 protected:
  ServerIdentityTest() {
    AuthorityOptions options{.trust_domain = TrustDomain::Parse("example.org").value()};
    options.data_dir = folder_.path();
    state_ = State::Open(options, clock_, *loop_).value();
    EXPECT_OK(CaRotation(*state_).Settle());
    identity_.emplace(*state_);
    EXPECT_OK(identity_->Start());
  }

  std::string Serial() { return identity_->Get().value().chain.front().serial(); }
  // Lets the timers run, and the signing thread.
  void Advance(absl::Duration time) {
    clock_.Advance(time);
    loop_->RunOnce(absl::ZeroDuration());
    bool done = false;
    state_->signing.Run(
        *loop_, [] { return true; }, [&done](bool result) { done = result; });
    while (!done) {
      loop_->RunOnce(absl::Seconds(1));
    }
  }

  const TempFolder folder_;
  FakeClock clock_;
  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create(clock_).value();
  std::unique_ptr<State> state_;
  std::optional<ServerIdentity> identity_;
};

TEST_F(ServerIdentityTest, RenewsAtHalfOfItsLifeWithoutBeingAsked) {
  const std::string first = Serial();
  Advance(absl::Minutes(29));
  EXPECT_EQ(Serial(), first);
  Advance(absl::Minutes(2));
  EXPECT_NE(Serial(), first);
}

TEST_F(ServerIdentityTest, FollowsTheActiveCa) {
  const std::string first = Serial();
  SigningAuthority other =
      MakeSigningAuthority(SigningAuthority::Kind::kX509, state_->options, clock_.Now()).value();
  SigningAuthority old = *state_->ca.Active(SigningAuthority::Kind::kX509);
  old.stage = SigningAuthority::Stage::kOld;
  other.stage = SigningAuthority::Stage::kActive;
  state_->ca.Put(old);
  state_->ca.Put(other);
  EXPECT_EQ(Serial(), first);
  Advance(absl::Seconds(6));
  EXPECT_NE(Serial(), first);
}

TEST_F(ServerIdentityTest, PresentsNothingThatHasEnded) {
  // The CA ends with the SVID, so nothing takes its place.
  clock_.Advance(absl::Hours(30));
  EXPECT_THAT(identity_->Get(), StatusIs(absl::StatusCode::kUnavailable, testing::_));
}

}  // namespace
}  // namespace assay
