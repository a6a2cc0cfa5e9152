// SPDX-License-Identifier: GPL-3.0-or-later
// Whom SDS tells something, and what hostile proxies get.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/test_sds.h"
#include "workload-api/sds_methods.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

using SdsLimitsTest = SdsTest;

TEST_F(SdsLimitsTest, RefusesWhatIsTooMuchOrOfAnotherType) {
  Begin();
  const int32_t call =
      Open("StreamSecrets", Whole(std::vector<std::string>(2, std::string(40000, 'a') + "b")));
  EXPECT_FALSE(Ended(call)) << "one name, twice";
  const int32_t large = Open("StreamSecrets", Whole({std::string(70000, 'a')}));
  EXPECT_EQ(client_->WaitClosed(large).status(), 3);
  discovery::DeltaDiscoveryRequest request = Delta({"a"});
  request.set_type_url("type.googleapis.com/envoy.config.cluster.v3.Cluster");
  const int32_t other = Open("DeltaSecrets", request);
  EXPECT_EQ(client_->WaitClosed(other).status(), 3);
  request = Delta({"a"});
  for (int i = 0; i < 1025; ++i) {
    (*request.mutable_initial_resource_versions())[fmt::format("{}", i)] = "";
  }
  EXPECT_EQ(client_->WaitClosed(Open("DeltaSecrets", request)).status(), 3);
  request = Delta({"a"});
  (*request.mutable_initial_resource_versions())[std::string(70000, 'a')] = "";
  EXPECT_EQ(client_->WaitClosed(Open("DeltaSecrets", request)).status(), 3);
  const std::vector<std::string> nameless(SdsSubscription::kMaxNames * 8);
  EXPECT_EQ(client_->WaitClosed(Open("StreamSecrets", Whole(nameless))).status(), 3);
  EXPECT_EQ(client_->WaitClosed(Open("DeltaSecrets", Delta({}, nameless))).status(), 3);
  const int32_t damaged =
      client_->Open(Http2Client::GrpcHeaders(std::string(kSdsService) + "StreamSecrets"));
  client_->Send(damaged, Http2Client::Framed("\xff"));
  EXPECT_EQ(client_->WaitClosed(damaged).status(), 13);
}

TEST_F(SdsLimitsTest, KeepsSoManyNamesOfAUser) {
  Begin();
  std::vector<std::string> names;
  for (size_t i = 0; i < SdsSubscription::kMaxNames; ++i) {
    names.push_back(fmt::format("{}", i));
  }
  std::vector<int32_t> calls;
  while (calls.empty() || !Ended(calls.back())) {
    ASSERT_LT(calls.size(), 90U);
    calls.push_back(Open("StreamSecrets", Whole(names)));
  }
  EXPECT_EQ(client_->stream(calls.back()).status(), 8);
  EXPECT_FALSE(Ended(Open("StreamSecrets", Whole({"one"}))));
  client_->Reset(calls.front());
  EXPECT_FALSE(Ended(Open("StreamSecrets", Whole(names))));
}

TEST_F(SdsLimitsTest, LooksAtTheCallerAgainBeforeEachMessage) {
  Begin();
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({Id("a")}));
  EXPECT_THAT(Sent(call), SizeIs(1));
  EXPECT_EQ(gate_.asked, 2) << "for its identities, and to send";
  Say(call, Taken(call, {Id("a")}));
  Grant("b");
  EXPECT_EQ(gate_.asked, 2) << "nothing new to send";
  gate_.answer = PermissionDenied("the caller executed another program after it connected");
  Commit(Svid("a", 2));
  EXPECT_THAT(Sent(call), SizeIs(1));
  EXPECT_EQ(client_->WaitClosed(call).status(), 7);
  EXPECT_EQ(gate_.asked, 3);
}

TEST_F(SdsLimitsTest, FollowsACallerToItsNewIdentities) {
  Begin();
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({Id("a"), "ROOTCA"}));
  gate_.answer = sets_.Get({{"unix", "uid:2"}});
  Commit(Svid("a", 2));
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("ROOTCA", "a"), IsEmpty()));
}

TEST_F(SdsLimitsTest, EndsWithItsCaller) {
  Begin();
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({Id("a")}));
  gate_.observed->OnCallerGone(PermissionDenied("the caller has other credentials"));
  EXPECT_EQ(client_->WaitClosed(call).status(), 7);
  gate_.answer = Unavailable("workload attestation failed");
  EXPECT_EQ(client_->WaitClosed(Open("DeltaSecrets", Delta({Id("a")}))).status(), 14);
}

TEST_F(SdsLimitsTest, AnswersTheRequestsOfOneReadOnce) {
  Begin();
  Grant("a");
  const int32_t call = Open("DeltaSecrets", Delta({Id("a")}));
  EXPECT_THAT(DeltasSent(call), SizeIs(1));
  std::string requests;
  for (int i = 0; i < 100; ++i) {
    requests += Http2Client::Framed(Delta({Id("a")}).SerializeAsString());
    requests += Http2Client::Framed("");
  }
  const int asked = gate_.asked;
  client_->Send(call, requests);
  EXPECT_THAT(DeltasSent(call), SizeIs(2));
  EXPECT_EQ(gate_.asked, asked + 1);
}

TEST_F(SdsLimitsTest, EndsAStreamThatAsksTooOften) {
  Begin();
  Grant("a");
  const int32_t call = Open("DeltaSecrets", Delta({Id("a")}));
  std::string requests;
  for (int i = 0; i < 300; ++i) {
    requests += Http2Client::Framed("");
  }
  client_->Send(call, requests);
  EXPECT_EQ(client_->WaitClosed(call).status(), 8);
  EXPECT_FALSE(Ended(Open("DeltaSecrets", Delta({Id("a")}))));
}

TEST_F(SdsLimitsTest, AnAcknowledgementIsNotLookedAt) {
  Begin();
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({Id("a"), "what is this"}));
  EXPECT_THAT(Sent(call), SizeIs(1));
  EXPECT_EQ(refused_, 1);
  for (int i = 0; i < 3; ++i) {
    Say(call, Taken(call, {"what is this", Id("a")}));
  }
  EXPECT_EQ(refused_, 1);
  Say(call, Taken(call, {"what is that", Id("a")}));
  EXPECT_EQ(refused_, 2);
}

TEST_F(SdsLimitsTest, TellsNothingThatHasChangedSinceItWasLookedAt) {
  Begin();
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({Id("a"), Id("b")}));
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("a")));
  gate_.waits = true;
  Grant("b");
  EXPECT_THAT(Sent(call), SizeIs(1));
  ASSERT_THAT(gate_.waiting, SizeIs(1));
  Commit(Without("b"));
  gate_.AdmitWaiting();
  EXPECT_THAT(Sent(call), SizeIs(1)) << "what there was is gone";
  Grant("b");
  EXPECT_THAT(Sent(call), SizeIs(1));
  Say(call, Taken(call, {Id("b")}));
  gate_.AdmitWaiting();
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("a"), ElementsAre("b")));
}

TEST_F(SdsLimitsTest, CountsTheVersionsThatAStreamTells) {
  Admit();
  discovery::DeltaDiscoveryRequest request = Delta({"*"});
  for (size_t i = 0; i < SdsSubscription::kMaxNames; ++i) {
    (*request.mutable_initial_resource_versions())[fmt::format("{}", i)] = "v";
  }
  std::vector<int32_t> calls;
  while (calls.empty() || !Ended(calls.back())) {
    ASSERT_LT(calls.size(), 90U);
    calls.push_back(Open("DeltaSecrets", request));
  }
  EXPECT_EQ(client_->stream(calls.back()).status(), 8);
}

TEST_F(SdsLimitsTest, CountsWhatAStreamOfEverythingWasTold) {
  Begin();
  Change many;
  for (int i = 0; i < 600; ++i) {
    many.MergeFrom(Entry(fmt::format("{}", i)));
    many.MergeFrom(Svid(fmt::format("{}", i)));
  }
  Commit(many);
  std::vector<int32_t> calls;
  while (calls.empty() || !Ended(calls.back())) {
    ASSERT_LT(calls.size(), 90U);
    calls.push_back(Open("DeltaSecrets", Delta({"*"})));
  }
  EXPECT_EQ(client_->stream(calls.back()).status(), 8);
}

TEST_F(SdsLimitsTest, WhoSaysNoMoreBeforeTheFirstStateWaitsAWhile) {
  Admit();
  const std::string method = std::string(kSdsService) + "StreamSecrets";
  const int32_t answered = client_->Start(method, Whole({"ROOTCA"}).SerializeAsString());
  const int32_t unknown = client_->Start(method, Whole({Id("x")}).SerializeAsString());
  EXPECT_FALSE(Ended(answered));
  Change first = Bundle("example.org", kDer);
  first.set_reset(true);
  first.MergeFrom(Entry("a"));
  first.MergeFrom(Svid("a"));
  Commit(first);
  EXPECT_EQ(client_->WaitClosed(answered).status(), 0);
  EXPECT_THAT(Sent(answered), ElementsAre(ElementsAre("ROOTCA")));
  EXPECT_EQ(client_->WaitClosed(unknown).status(), 0);
  EXPECT_THAT(Sent(unknown), IsEmpty());
}

TEST_F(SdsLimitsTest, ButNotForLong) {
  Admit();
  const int32_t call = client_->Start(std::string(kSdsService) + "StreamSecrets",
                                      Whole({"ROOTCA"}).SerializeAsString());
  EXPECT_FALSE(Ended(call));
  server_.clock.Advance(absl::Seconds(2));
  EXPECT_EQ(client_->WaitClosed(call).status(), 14);
}

}  // namespace
}  // namespace assay
