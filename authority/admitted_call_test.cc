// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/admitted_call.h"

#include <gmock/gmock.h>

#include "authority/ca_rotation.h"
#include "authority/x509_issuer.h"
#include "tests/support/fake_call.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::_;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const TrustDomain kDomain = TrustDomain::Parse("example.org").value();

// Writes down what reaches it.
class Recorder final : public rpc::CallHandler {
 public:
  explicit Recorder(std::vector<std::string>& seen) : seen_(seen) {}
  void OnMessage(std::string_view bytes) override { seen_.emplace_back(bytes); }
  void OnHalfClose() override { seen_.emplace_back("end"); }

 private:
  std::vector<std::string>& seen_;
};

class AdmittedCallTest : public testing::Test {
 protected:
  AdmittedCallTest() {
    AuthorityOptions options{.trust_domain = kDomain};
    options.data_dir = folder_.path();
    state_ = State::Open(options, clock_, *loop_).value();
    EXPECT_OK(CaRotation(*state_).Settle());
    leaf_ = IssueX509Svid(*state_->ca.Active(SigningAuthority::Kind::kX509),
                          {.id = agent_, .key = key_->public_key(), .ttl = absl::Hours(1)},
                          clock_.Now())
                .value();
    gate_.emplace(*state_, Gate::Transport::kTcp);
    rule_.rate.limit = &limit_;
  }

  // One call of the agent at an address, and what its handler saw.
  struct Made {
    FakeCall call;
    std::vector<std::string> seen;
    std::unique_ptr<rpc::CallHandler> handler;
  };
  std::unique_ptr<Made> Begin() {
    auto made = std::make_unique<Made>();
    made->call.peer().address = "127.0.0.1:1";
    made->call.peer().tls_chain = {*leaf_};
    made->handler = AdmitCall(
        *state_, *gate_, rule_,
        [&made](rpc::Call&) { return std::make_unique<Recorder>(made->seen); }, made->call);
    return made;
  }
  void Attest(std::string serial) {
    state_->nodes.Put({.id = agent_, .serial = std::move(serial)});
  }
  void Attest() { Attest(leaf_->serial()); }
  void Advance(absl::Duration time) {
    clock_.Advance(time);
    loop_->RunOnce(absl::ZeroDuration());
  }

  const TempFolder folder_;
  FakeClock clock_;
  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create(clock_).value();
  std::unique_ptr<State> state_;
  std::optional<Gate> gate_;
  RateLimit limit_{clock_, 1};
  Rule rule_{.access = Access::kAgent, .max_request_bytes = 100};
  const SpiffeId agent_ = SpiffeId::Create(kDomain, "/spire/agent/a").value();
  const std::shared_ptr<const crypto::PrivateKey> key_ =
      crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value();
  std::optional<crypto::Certificate> leaf_;
};

TEST_F(AdmittedCallTest, PassesOnWhatACallerSends) {
  Attest();
  const auto made = Begin();
  made->handler->OnMessage("1");
  made->handler->OnMessage("2");
  made->handler->OnHalfClose();
  EXPECT_THAT(made->seen, ElementsAre("1", "2", "end"));
  EXPECT_FALSE(made->call.outcome.has_value());
}

TEST_F(AdmittedCallTest, RefusesWhoMayNotCall) {
  const auto made = Begin();
  EXPECT_THAT(*made->call.outcome, StatusIs(StatusCode::kPermissionDenied, _));
  made->handler->OnMessage("1");
  made->handler->OnHalfClose();
  EXPECT_THAT(made->seen, IsEmpty());
}

TEST_F(AdmittedCallTest, RefusesAMessageThatIsTooLargeForTheMethod) {
  Attest();
  const auto made = Begin();
  made->handler->OnMessage(std::string(101, 'x'));
  EXPECT_THAT(*made->call.outcome,
              StatusIs(StatusCode::kResourceExhausted,
                       "grpc: received message larger than max (101 vs. 100)"));
  EXPECT_THAT(made->seen, IsEmpty());
}

TEST_F(AdmittedCallTest, JudgesACallerAgainWhenItsMessageComes) {
  Attest();
  const auto made = Begin();
  Attest("superseded");
  made->handler->OnMessage("1");
  EXPECT_THAT(*made->call.outcome, StatusIs(StatusCode::kPermissionDenied, _));
  EXPECT_THAT(made->seen, IsEmpty());
}

TEST_F(AdmittedCallTest, HoldsBackWhatExceedsTheLimit) {
  Attest();
  const auto first = Begin(), second = Begin();
  first->handler->OnMessage("1");
  second->handler->OnMessage("2");
  second->handler->OnHalfClose();
  Advance(absl::Milliseconds(900));
  EXPECT_THAT(second->seen, IsEmpty());
  Advance(absl::Milliseconds(200));
  EXPECT_THAT(second->seen, ElementsAre("2", "end"));
}

TEST_F(AdmittedCallTest, JudgesACallerAgainWhenItHasWaited) {
  Attest();
  const auto first = Begin(), second = Begin();
  first->handler->OnMessage("1");
  second->handler->OnMessage("2");
  Attest("superseded");
  Advance(absl::Seconds(2));
  EXPECT_THAT(*second->call.outcome, StatusIs(StatusCode::kPermissionDenied, _));
  EXPECT_THAT(second->seen, IsEmpty());
}

TEST_F(AdmittedCallTest, GivesBackTheTokensOfACallThatEndsWhileItWaits) {
  Attest();
  const auto first = Begin();
  first->handler->OnMessage("1");
  for (int i = 0; i < 100; ++i) {
    const auto cancelled = Begin();
    cancelled->handler->OnMessage("x");
    EXPECT_FALSE(cancelled->call.outcome.has_value());
  }
  const auto last = Begin();
  last->handler->OnMessage("2");
  Advance(absl::Milliseconds(1100));
  EXPECT_THAT(last->seen, ElementsAre("2"));
}

TEST_F(AdmittedCallTest, LetsNoMoreWaitThanThereIsRoomFor) {
  Attest();
  const auto first = Begin(), second = Begin();
  first->handler->OnMessage("1");
  ASSERT_OK(state_->waiting_room.Enter("127.0.0.1", 32 << 20));
  second->handler->OnMessage("2");
  EXPECT_THAT(*second->call.outcome,
              StatusIs(StatusCode::kResourceExhausted, HasSubstr("too many requests wait")));
}

TEST_F(AdmittedCallTest, EndsTheOpenCallsOfABannedAgent) {
  Attest();
  const auto open = Begin();
  Attest("");
  EndCallsOf(*state_, agent_, DenialReason::kBanned);
  EXPECT_THAT(*open->call.outcome, StatusIs(StatusCode::kPermissionDenied, _));
  EndCallsOf(*state_, SpiffeId::Create(kDomain, "/spire/agent/b").value(), DenialReason::kBanned);
}

}  // namespace
}  // namespace assay
