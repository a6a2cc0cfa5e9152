// SPDX-License-Identifier: GPL-3.0-or-later
// What callers are sent, and when, of a state that changes.
#include "workload-api/workload_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assay/roles.pb.h"
#include "spiffe/workload.pb.h"
#include "tests/support/test_server.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Admits everybody to one set, or nobody.
class FakeGate final : public CallerGate {
 public:
  void Admit(rpc::Call&, Admitted admitted) override {
    ++asked;
    admitted(answer);
  }
  void Observe(rpc::Call&, CallerObserver& observer) override { observed = &observer; }
  void Forget(rpc::Call&, CallerObserver&) override {}

  absl::StatusOr<std::shared_ptr<IdentitySet>> answer = Unavailable("unset");
  CallerObserver* observed = nullptr;
  int asked = 0;
};

class WorkloadServiceTest : public testing::Test {
 protected:
  WorkloadServiceTest() {
    service_.AddTo(server_.registry);
    server_.Start();
    client_ = server_.Connect();
    Change first;
    first.set_reset(true);
    roles::Bundle& bundle = *first.add_bundles();
    bundle.set_trust_domain("example.org");
    bundle.set_x509_authorities("roots");
    Commit(first);
    gate_.answer = sets_.Get({{"unix", "uid:1"}});
  }

  // The server first: its calls use the rest.
  ~WorkloadServiceTest() override { server_.Stop(); }

  using Change = roles::StateChange;

  void Commit(Change change) {
    change.set_commit(true);
    ASSERT_OK(state_.Receive(std::move(change)));
    sets_.Refresh();
  }
  static Change Entry(const std::string& id) {
    Change change;
    roles::Entry& entry = *change.add_entries();
    entry.set_id(id);
    entry.set_spiffe_id("spiffe://example.org/" + id);
    roles::Selector& selector = *entry.add_selectors();
    selector.set_type("unix");
    selector.set_value("uid:1");
    return change;
  }
  Change Svid(const std::string& id) {
    Change change;
    roles::Svid& svid = *change.add_svids();
    svid.set_entry_id(id);
    svid.set_chain("chain");
    svid.set_key("key");
    svid.set_expires_at(absl::ToUnixSeconds(server_.clock.Now() + absl::Hours(1)));
    return change;
  }
  static Change Without(const std::string& id) {
    Change change;
    change.add_removed_entries(id);
    return change;
  }
  int32_t Fetch() { return client_->Start("/SpiffeWorkloadAPI/FetchX509SVID", ""); }
  // The identities of each message so far.
  std::vector<std::string> Sent(int32_t call) {
    for (int i = 0; i < 5; ++i) {
      client_->Step();
    }
    std::vector<std::string> sent;
    for (const std::string& bytes : client_->stream(call).messages()) {
      X509SVIDResponse response;
      EXPECT_TRUE(response.ParseFromString(bytes));
      std::string names;
      for (const X509SVID& svid : response.svids()) {
        names += svid.spiffe_id().substr(svid.spiffe_id().rfind('/') + 1);
      }
      sent.push_back(names);
    }
    return sent;
  }

  TestServer server_;
  ServedState state_;
  IdentitySets sets_{state_,
                     server_.clock,
                     server_.loop(),
                     {.trust_domain = "example.org",
                      .want = [](const std::vector<std::string>&) {},
                      .used = [](const std::vector<std::string>&) {}}};
  FakeGate gate_;
  JwtTokens jwt_tokens_{
      server_.loop(),
      server_.clock,
      state_,
      {.trust_domain = "example.org", .tell = [](const roles::ServeRequest&) { return true; }}};
  WorkloadService service_{{server_.loop(), server_.clock, state_, gate_, jwt_tokens_},
                           {.on_refused = [] {}, .jwt = {}}};
  std::unique_ptr<Http2Client> client_;
};

TEST_F(WorkloadServiceTest, WaitsWithAPartialAnswerForWhoHasACompleteOne) {
  Commit(Entry("a"));
  Commit(Svid("a"));
  const int32_t call = Fetch();
  EXPECT_THAT(Sent(call), ElementsAre("a"));
  Commit(Entry("b"));
  Commit(Entry("c"));
  Commit(Svid("b"));
  EXPECT_THAT(Sent(call), ElementsAre("a"));
  Commit(Svid("c"));
  EXPECT_THAT(Sent(call), ElementsAre("a", "abc"));
}

TEST_F(WorkloadServiceTest, DoesNotWaitForEver) {
  Commit(Entry("a"));
  Commit(Svid("a"));
  const int32_t call = Fetch();
  EXPECT_THAT(Sent(call), ElementsAre("a"));
  Commit(Entry("b"));
  Commit(Entry("c"));
  Commit(Svid("b"));
  EXPECT_THAT(Sent(call), ElementsAre("a"));
  server_.clock.Advance(IdentitySet::kPatience);
  EXPECT_THAT(Sent(call), ElementsAre("a", "ab"));
}

TEST_F(WorkloadServiceTest, TakesAnIdentityBackAtOnce) {
  Commit(Entry("a"));
  Commit(Entry("b"));
  Commit(Svid("a"));
  Commit(Svid("b"));
  const int32_t call = Fetch();
  EXPECT_THAT(Sent(call), ElementsAre("ab"));
  Commit(Entry("c"));
  Commit(Without("b"));
  EXPECT_THAT(Sent(call), ElementsAre("ab", "a"));
}

TEST_F(WorkloadServiceTest, LooksAtTheCallerAgainBeforeEachMessage) {
  Commit(Entry("a"));
  Commit(Svid("a"));
  const int32_t call = Fetch();
  EXPECT_THAT(Sent(call), ElementsAre("a"));
  EXPECT_EQ(gate_.asked, 1);
  Commit(Svid("a"));
  Sent(call);
  EXPECT_EQ(gate_.asked, 1) << "nothing new to send";
  gate_.answer = PermissionDenied("the caller executed another program after it connected");
  Commit(Entry("b"));
  Commit(Svid("b"));
  EXPECT_THAT(Sent(call), ElementsAre("a"));
  EXPECT_EQ(client_->WaitClosed(call).status(), 7);
  EXPECT_EQ(gate_.asked, 2);
}

TEST_F(WorkloadServiceTest, LooksAgainAtACallerThatWaitedForItsFirstMessage) {
  Commit(Entry("a"));
  const int32_t call = Fetch();
  EXPECT_THAT(Sent(call), IsEmpty());
  gate_.answer = PermissionDenied("the caller executed another program after it connected");
  Commit(Svid("a"));
  EXPECT_EQ(client_->WaitClosed(call).status(), 7);
  EXPECT_THAT(Sent(call), IsEmpty());
}

TEST_F(WorkloadServiceTest, EndsTheStreamOfACallerThatIsRefusedMeanwhile) {
  Commit(Entry("a"));
  Commit(Svid("a"));
  const int32_t call = Fetch();
  EXPECT_THAT(Sent(call), ElementsAre("a"));
  gate_.observed->OnCallerGone(PermissionDenied("the caller has other credentials"));
  EXPECT_EQ(client_->WaitClosed(call).status(), 7);
}

TEST_F(WorkloadServiceTest, FollowsACallerToItsNewIdentities) {
  Commit(Entry("a"));
  Commit(Svid("a"));
  const int32_t call = Fetch();
  EXPECT_THAT(Sent(call), ElementsAre("a"));
  gate_.answer = sets_.Get({{"unix", "uid:2"}});
  Commit(Entry("b"));
  Commit(Svid("b"));
  Sent(call);
  EXPECT_EQ(client_->WaitClosed(call).status(), 7) << "in its new groups it has no identity";
  EXPECT_THAT(Sent(call), ElementsAre("a"));
}

}  // namespace
}  // namespace assay
