// SPDX-License-Identifier: GPL-3.0-or-later
// What callers are sent, and when, of a state that changes.
#include "workload-api/workload_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spiffe/workload.pb.h"
#include "tests/support/test_workload_api.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class WorkloadServiceTest : public testing::Test, public TestWorkloadApi {
 protected:
  WorkloadServiceTest() {
    Change first = Bundle("example.org", "roots");
    first.set_reset(true);
    Commit(first);
    Admit();
  }

  int32_t Fetch() { return client_->Start("/SpiffeWorkloadAPI/FetchX509SVID", ""); }
  // The identities of each message so far.
  std::vector<std::string> Sent(int32_t call) {
    std::vector<std::string> sent;
    for (const std::string& bytes : Messages(call)) {
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
