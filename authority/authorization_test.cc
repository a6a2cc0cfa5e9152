// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/authorization.h"

#include <gmock/gmock.h>

#include "authority/ca_rotation.h"
#include "authority/x509_issuer.h"
#include "google/rpc/status.pb.h"
#include "spire/api/types/status.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using Details = spire::api::types::PermissionDeniedDetails;

const TrustDomain kDomain = TrustDomain::Parse("example.org").value();
SpiffeId Id(std::string_view path) { return SpiffeId::Create(kDomain, path).value(); }

class AuthorizationTest : public testing::Test {
 protected:
  AuthorizationTest() {
    AuthorityOptions options{.trust_domain = kDomain};
    options.data_dir = folder_.path();
    state_ = State::Open(options, clock_, *loop_).value();
    EXPECT_OK(CaRotation(*state_).Settle());
  }

  // Somebody on TCP with an SVID of this ID.
  rpc::Peer PeerOf(std::string_view path) {
    const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value();
    rpc::Peer peer;
    peer.address = "127.0.0.1:1";
    peer.tls_chain = {
        IssueX509Svid(*state_->ca.Active(SigningAuthority::Kind::kX509),
                      {.id = Id(path), .key = key->public_key(), .ttl = absl::Hours(1)},
                      clock_.Now())
            .value()};
    return peer;
  }
  void Attest(const rpc::Peer& peer) {
    state_->nodes.Put({.id = *CallerId(peer), .serial = peer.tls_chain.front().serial()});
  }
  Denial JudgeTcp(Access access, const rpc::Peer& peer) {
    return Gate(*state_, Gate::Transport::kTcp).Judge(access, "/s/M", peer);
  }
  static Details::Reason ReasonOf(const Denial& denial) {
    google::rpc::Status status;
    Details details;
    EXPECT_TRUE(status.ParseFromString(denial.details));
    EXPECT_EQ(status.code(), 7);
    EXPECT_EQ(status.details_size(), 1);
    EXPECT_EQ(status.details(0).type_url(),
              "type.googleapis.com/spire.api.types.PermissionDeniedDetails");
    EXPECT_TRUE(status.details(0).UnpackTo(&details));
    return details.reason();
  }

  const TempFolder folder_;
  FakeClock clock_;
  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create(clock_).value();
  std::unique_ptr<State> state_;
};

TEST_F(AuthorizationTest, LetsAnyoneAttest) { EXPECT_OK(JudgeTcp(Access::kAnyone, {}).status); }

TEST_F(AuthorizationTest, RefusesStrangersWithoutDetails) {
  for (const Access access : {Access::kAgent, Access::kOperator, Access::kAgentOrOperator}) {
    const Denial denial = JudgeTcp(access, {});
    EXPECT_THAT(denial.status,
                StatusIs(StatusCode::kPermissionDenied, "authorization denied for method /s/M"));
    EXPECT_EQ(denial.details, "");
  }
}

TEST_F(AuthorizationTest, LogsFewRefusalsOfOneHost) {
  testing::internal::CaptureStdout();
  rpc::Peer peer;
  for (int port = 1; port <= 20; ++port) {
    peer.address = fmt::format("10.0.0.1:{}", port);
    EXPECT_FALSE(JudgeTcp(Access::kAgent, peer).status.ok());
  }
  peer.address = "10.0.0.2:1";
  EXPECT_FALSE(JudgeTcp(Access::kAgent, peer).status.ok());
  clock_.Advance(absl::Minutes(1));
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_THAT(
      testing::internal::GetCapturedStdout(),
      testing::AllOf(HasSubstr("10.0.0.1:10"), testing::Not(HasSubstr("10.0.0.1:11")),
                     HasSubstr("10.0.0.2:1"), HasSubstr("caller_host=10.0.0.1 suppressed=10")));
}

TEST_F(AuthorizationTest, LetsTheSocketDoWhatOperatorsDo) {
  Gate gate(*state_, Gate::Transport::kLocal);
  EXPECT_OK(gate.Judge(Access::kOperator, "/s/M", {}).status);
  EXPECT_OK(gate.Judge(Access::kAgentOrOperator, "/s/M", {}).status);
  EXPECT_THAT(gate.Judge(Access::kAgent, "/s/M", {}).status.code(), StatusCode::kPermissionDenied);
}

TEST_F(AuthorizationTest, LetsAnAttestedAgentCallAsAgent) {
  const rpc::Peer peer = PeerOf("/spire/agent/a");
  Attest(peer);
  EXPECT_OK(JudgeTcp(Access::kAgent, peer).status);
  EXPECT_OK(JudgeTcp(Access::kAgentOrOperator, peer).status);
  EXPECT_FALSE(JudgeTcp(Access::kOperator, peer).status.ok());
}

TEST_F(AuthorizationTest, TellsEachReasonApart) {
  const rpc::Peer peer = PeerOf("/spire/agent/a");
  EXPECT_EQ(ReasonOf(JudgeTcp(Access::kAgent, peer)), Details::AGENT_NOT_ATTESTED);
  Attest(PeerOf("/spire/agent/a"));
  EXPECT_EQ(ReasonOf(JudgeTcp(Access::kAgent, peer)), Details::AGENT_NOT_ACTIVE);
  state_->nodes.Put({.id = Id("/spire/agent/a")});
  EXPECT_EQ(ReasonOf(JudgeTcp(Access::kAgent, peer)), Details::AGENT_BANNED);
  clock_.Advance(absl::Hours(2));
  EXPECT_EQ(ReasonOf(JudgeTcp(Access::kAgent, peer)), Details::AGENT_EXPIRED);
}

TEST_F(AuthorizationTest, CallsAWorkloadThatPlaysAgentNotAttested) {
  EXPECT_EQ(ReasonOf(JudgeTcp(Access::kAgent, PeerOf("/w"))), Details::AGENT_NOT_ATTESTED);
}

TEST_F(AuthorizationTest, LetsTheHolderOfAnAdminEntryOperate) {
  const rpc::Peer peer = PeerOf("/w");
  EXPECT_FALSE(JudgeTcp(Access::kOperator, peer).status.ok());
  RegistrationEntry entry{"e", Id("/w"), Id("/spire/agent/a"), {{"unix", "uid:0"}}, {}, {}, {}};
  entry.admin = true;
  state_->entries.Put(entry);
  EXPECT_OK(JudgeTcp(Access::kOperator, peer).status);
  EXPECT_FALSE(JudgeTcp(Access::kAgent, peer).status.ok());
}

TEST_F(AuthorizationTest, LetsNobodyOperateWithACertificateThatHasEnded) {
  const rpc::Peer peer = PeerOf("/w");
  RegistrationEntry entry{"e", Id("/w"), Id("/spire/agent/a"), {{"unix", "uid:0"}}, {}, {}, {}};
  entry.admin = true;
  state_->entries.Put(entry);
  clock_.Advance(absl::Minutes(59));
  EXPECT_OK(JudgeTcp(Access::kOperator, peer).status);
  clock_.Advance(absl::Minutes(2));
  EXPECT_FALSE(JudgeTcp(Access::kOperator, peer).status.ok());
  EXPECT_FALSE(JudgeTcp(Access::kAgentOrOperator, peer).status.ok());
}

TEST_F(AuthorizationTest, ActivatesARenewedSvidWhenItIsUsed) {
  const rpc::Peer before = PeerOf("/spire/agent/a"), after = PeerOf("/spire/agent/a");
  state_->nodes.Put({.id = Id("/spire/agent/a"),
                     .serial = before.tls_chain.front().serial(),
                     .pending_serial = after.tls_chain.front().serial()});
  EXPECT_OK(JudgeTcp(Access::kAgent, before).status);
  EXPECT_OK(JudgeTcp(Access::kAgent, after).status);
  EXPECT_EQ(ReasonOf(JudgeTcp(Access::kAgent, before)), Details::AGENT_NOT_ACTIVE);
  EXPECT_OK(JudgeTcp(Access::kAgent, after).status);
}

}  // namespace
}  // namespace assay
