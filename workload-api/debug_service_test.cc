// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/debug_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assay/roles.pb.h"
#include "spire/api/agent/debug/v1/debug.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/test_ca.h"
#include "tests/support/test_server.h"

namespace assay {
namespace {

using spire::agent::debug::v1::GetInfoResponse;
using testing::HasSubstr;

class DebugServiceTest : public testing::Test {
 protected:
  DebugServiceTest() {
    service_.AddTo(server_.registry);
    server_.Start();
    client_ = server_.Connect();
  }
  // The server first: its calls use the rest.
  ~DebugServiceTest() override { server_.Stop(); }

  void Commit(const crypto::Certificate& authority) {
    roles::StateChange change;
    change.set_reset(true);
    for (const char* id : {"1", "2"}) {
      roles::Entry& entry = *change.add_entries();
      entry.set_id(id);
      entry.set_spiffe_id("spiffe://example.org/w");
      entry.add_selectors()->set_type("unix");
    }
    change.add_svids()->set_entry_id("2");
    roles::Bundle& bundle = *change.add_bundles();
    bundle.set_trust_domain("example.org");
    bundle.set_x509_authorities(authority.der());
    change.set_agent_chain(leaf_.der());
    change.set_store_svids(3);
    change.set_last_sync(1'800'000'000);
    change.set_commit(true);
    ASSERT_OK(state_.Receive(std::move(change)));
  }
  const Http2Client::Stream& GetInfo() {
    return client_->Call("/spire.agent.debug.v1.Debug/GetInfo", "");
  }

  const TestCa ca_;
  const std::unique_ptr<crypto::PrivateKey> key_ =
      crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value();
  const crypto::Certificate leaf_ =
      ca_.IssueFor(TestId("spiffe://example.org/spire/agent/a"), key_->public_key());
  FakeClock clock_;
  ServedState state_;
  TestServer server_;
  JwtTokens jwt_tokens_{
      server_.loop(),
      clock_,
      state_,
      {.trust_domain = "example.org", .tell = [](const roles::ServeRequest&) { return true; }}};
  DebugService service_{
      {.trust_domain = TestDomain(), .started_at = clock_.Now()}, clock_, state_, jwt_tokens_};
  std::unique_ptr<Http2Client> client_;
};

TEST_F(DebugServiceTest, TellsTheAgentsChainAndItsCounts) {
  Commit(ca_.certificate());
  clock_.Advance(absl::Seconds(42));
  GetInfoResponse info;
  ASSERT_TRUE(info.ParseFromString(GetInfo().messages().at(0)));
  ASSERT_EQ(info.svid_chain_size(), 2);
  EXPECT_EQ(info.svid_chain(0).id().path(), "/spire/agent/a");
  EXPECT_EQ(info.svid_chain(0).expires_at(), absl::ToUnixSeconds(leaf_.not_after()));
  EXPECT_EQ(info.svid_chain(1).id().trust_domain(), "example.org");
  EXPECT_EQ(info.svid_chain(1).subject(), ca_.certificate().SubjectText());
  EXPECT_EQ(info.uptime(), 42);
  EXPECT_EQ(info.last_sync_success(), 1'800'000'000);
  EXPECT_EQ(info.cached_x509_svids_count(), 1);
  EXPECT_EQ(info.svids_count(), 1);
  EXPECT_EQ(info.cached_svidstore_x509_svids_count(), 3);
}

TEST_F(DebugServiceTest, FailsWithoutAChainToTheBundle) {
  EXPECT_THAT(GetInfo().message(), HasSubstr("failed to verify agent SVID"));
  Commit(TestCa().certificate());
  EXPECT_THAT(GetInfo().message(), HasSubstr("no authority of the trust bundle"));
  EXPECT_EQ(GetInfo().status(), 13);
}

}  // namespace
}  // namespace assay
