// SPDX-License-Identifier: GPL-3.0-or-later
// What is said and remembered of callers that are refused.
#include "workload-api/call_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "spiffe/workload.pb.h"
#include "tests/support/test_workload_api.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

class RefusalTest : public testing::Test, protected TestWorkloadApi {
 protected:
  RefusalTest() {
    Change first;
    first.set_reset(true);
    first.add_bundles()->set_trust_domain("example.org");
    Commit(first);
    gate_.answer = sets_.Get({{"k8s", "ns:a"}, {"unix", "gid:2"}, {"unix", "uid:1"}});
  }
  std::string ErrorOf(const std::string& method, const std::string& request = "") {
    return client_->WaitClosed(Start(method, request)).message();
  }
  std::vector<const Refusal*> Remembered() { return service_.last_refusals().Newest(100); }
};

TEST_F(RefusalTest, ErrorLogAndMemoryHaveTheSameId) {  // WLEP-17 WLAPI-23 WLAPI-28
  gate_.runs = {{"unix", absl::Milliseconds(1), ""}, {"k8s", absl::Seconds(2), ""}};
  testing::internal::CaptureStdout();
  const std::string error = ErrorOf("FetchX509SVID");
  const std::string log = testing::internal::GetCapturedStdout();
  ASSERT_THAT(error, MatchesRegex("no identity issued \\(reason=[0-9A-Z]{12}\\)"));
  const std::string reason = error.substr(error.find('=') + 1, 12);
  EXPECT_THAT(log, HasSubstr("msg=\"No identity issued\""));
  EXPECT_THAT(log, HasSubstr("reason=" + reason));
  const Refusal* refusal = service_.last_refusals().Find(reason);
  ASSERT_NE(refusal, nullptr);
  EXPECT_EQ(refusal->pid, getpid());
  EXPECT_EQ(refusal->uid, getuid());
  EXPECT_EQ(refusal->gid, getgid());
  EXPECT_EQ(refusal->service + " " + refusal->method, "WorkloadAPI FetchX509SVID");
  EXPECT_EQ(refusal->error, "no identity issued");
  EXPECT_TRUE(refusal->attested);
  EXPECT_EQ(refusal->selectors.size(), 3U);
  EXPECT_EQ(refusal->runs, gate_.runs);
  EXPECT_EQ(ErrorOf("FetchX509Bundles"), error) << "the same process, refused the same";
}

TEST_F(RefusalTest, TheLogHasTheSelectorsThatTheOperatorWantsAndNoOthers) {
  testing::internal::CaptureStdout();
  ErrorOf("FetchX509SVID");
  EXPECT_THAT(testing::internal::GetCapturedStdout(), Not(HasSubstr("uid:1")));
  service_.ShowSelectors({"unix:uid"});
  testing::internal::CaptureStdout();
  ErrorOf("FetchX509SVID");
  const std::string log = testing::internal::GetCapturedStdout();
  EXPECT_THAT(log, HasSubstr("selectors=\"unix:uid:1\""));
  EXPECT_THAT(log, Not(HasSubstr("gid:2")));
  EXPECT_THAT(log, Not(HasSubstr("ns:a")));
}

TEST_F(RefusalTest, WhoWantsOneIdentityThatIsNotItsIsRememberedWithIt) {
  JWTSVIDRequest request;
  request.add_audience("x");
  request.set_spiffe_id("spiffe://example.org/other");
  EXPECT_THAT(ErrorOf("FetchJWTSVID", request.SerializeAsString()), HasSubstr("(reason="));
  ASSERT_EQ(Remembered().size(), 1U);
  EXPECT_EQ(Remembered()[0]->asked_for, "spiffe://example.org/other");
}

TEST_F(RefusalTest, WhoCannotBeAttestedIsRememberedWithoutSelectors) {
  gate_.answer = Unavailable("workload attestation failed");
  gate_.runs = {{"unix", {}, "path lookup: no"}};
  testing::internal::CaptureStdout();
  EXPECT_EQ(ErrorOf("FetchX509SVID"), "workload attestation failed");
  const std::string log = testing::internal::GetCapturedStdout();
  ASSERT_EQ(Remembered().size(), 1U);
  const Refusal& refusal = *Remembered()[0];
  EXPECT_EQ(refusal.error, "workload attestation failed");
  EXPECT_FALSE(refusal.attested);
  EXPECT_THAT(refusal.runs, ElementsAre(gate_.runs[0]));
  EXPECT_THAT(log, HasSubstr("reason=" + refusal.reason));
}

}  // namespace
}  // namespace assay
