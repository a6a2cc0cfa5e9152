// SPDX-License-Identifier: GPL-3.0-or-later
// What becomes of unary calls whose caller, request or agent is not as it should be.
#include "workload-api/unary_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/test_jwt_methods.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// Before the agent has been told anything.
class EarlyUnaryCallTest : public testing::Test, protected TestWorkloadApi {
 protected:
  EarlyUnaryCallTest() { Admit(); }
  int32_t StartFetch() {
    JWTSVIDRequest request;
    request.add_audience("x");
    return Start("FetchJWTSVID", request.SerializeAsString());
  }
};

TEST_F(EarlyUnaryCallTest, WaitsForTheFirstState) {
  const int32_t call = StartFetch();
  EXPECT_EQ(StatusOf(call), "");
  Change first;
  first.set_reset(true);
  Commit(first);
  EXPECT_EQ(StatusOf(call), "7 no identity issued");
}

TEST_F(EarlyUnaryCallTest, DoesNotWaitForItForEver) {
  const int32_t call = StartFetch();
  EXPECT_EQ(StatusOf(call), "");
  server_.clock.Advance(WorkloadService::kFirstStateGrace);
  EXPECT_EQ(StatusOf(call), "14 the agent has not synchronised with its upstream yet");
}

TEST_F(EarlyUnaryCallTest, HasItsWholePatienceOnceItIsThere) {
  const int32_t call = StartFetch();
  EXPECT_EQ(StatusOf(call), "");
  server_.clock.Advance(WorkloadService::kFirstStateGrace / 2);
  Change first = Entry("a");
  first.set_reset(true);
  Commit(first);
  server_.clock.Advance(IdentitySet::kPatience - absl::Milliseconds(1));
  EXPECT_EQ(StatusOf(call), "");
  server_.clock.Advance(absl::Milliseconds(1));
  EXPECT_EQ(StatusOf(call), "14 could not fetch JWT-SVID: the upstream did not answer in time");
}

using UnaryCallTest = JwtMethodsTest;

TEST_F(UnaryCallTest, EndsWithItsCaller) {
  const int32_t call = StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("a x"));
  ASSERT_NE(gate_.observed, nullptr);
  gate_.observed->OnCallerGone(Unavailable("the caller has exited"));
  EXPECT_EQ(StatusOf(call), "14 the caller has exited");
  Step();
  ASSERT_THAT(requests_, SizeIs(1));
  EXPECT_EQ(FakeServe::KeyText(requests_[0].forget_jwt().key()), "a x");
}

TEST_F(UnaryCallTest, OfOneThatItsClientCancelsNothingIsAskedForAnyMore) {
  const int32_t call = StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("a x"));
  client_->Reset(call);
  Step();
  ASSERT_THAT(requests_, SizeIs(1));
  EXPECT_EQ(FakeServe::KeyText(requests_[0].forget_jwt().key()), "a x");
  requests_.clear();
  jwt_tokens_.AskAgain();
  EXPECT_THAT(Minted(), SizeIs(0));
}

TEST_F(UnaryCallTest, OneOfItsOwnThatCannotBeHadFailsThatCallAlone) {
  Change change = Entry("a");
  change.mutable_entries(0)->set_jwt_svid_include_jti(true);
  Commit(change);
  const int32_t first = StartFetch({"x"}), second = StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("1 a x", "2 a x"));
  jwt_tokens_.AskAgain();
  EXPECT_THAT(Minted(), ElementsAre("1 a x", "2 a x")) << "the identity role is a new one";
  TellFailure("a", {"x"}, "no", 1);
  EXPECT_EQ(StatusOf(first), "14 could not fetch JWT-SVID: no");
  EXPECT_EQ(StatusOf(second), "");
  Tell("a", {"x"}, "two", absl::Minutes(5), 2);
  EXPECT_THAT(Fetched(second), ElementsAre("a=two"));
}

TEST_F(UnaryCallTest, ARequestThatDoesNotParseIsRefusedBeforeTheCallerIsLookedAt) {
  gate_.asked = 0;
  const std::string broken = "\x0a\x05x", not_utf8 = "\x0a\x01\xff";
  for (const char* method : {"FetchJWTSVID", "ValidateJWTSVID"}) {
    for (const std::string& bytes : {broken, not_utf8}) {
      EXPECT_THAT(StatusOf(Start(method, bytes)), HasSubstr("13 grpc: error unmarshalling"));
    }
  }
  EXPECT_EQ(gate_.asked, 0);
}

}  // namespace
}  // namespace assay
