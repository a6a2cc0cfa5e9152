// SPDX-License-Identifier: GPL-3.0-or-later
// What proxies are sent, and when, of a state that changes.
#include "workload-api/sds_methods.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/test_sds.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

using StreamSecretsTest = SdsTest;

TEST_F(StreamSecretsTest, AnswersSeveralNamesAtOnce) {
  Begin();
  Commit(Bundle("other.org", kDer));
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({"spiffe://example.org", "spiffe://other.org",
                                                    "ROOTCA", "ALL", Id("a"), "default"}));
  EXPECT_THAT(Sent(call),
              ElementsAre(ElementsAre("ALL", "ROOTCA", "default", "spiffe://example.org", "a",
                                      "spiffe://other.org")));
  const auto answer = Answers<discovery::DiscoveryResponse>(call).front();
  EXPECT_EQ(answer.type_url(), kSdsTypeUrl);
  EXPECT_EQ(answer.resources(0).type_url(), kSdsTypeUrl);
  EXPECT_NE(answer.version_info(), "");
  EXPECT_NE(answer.nonce(), "");
}

TEST_F(StreamSecretsTest, SendsWhatIsNotThereYetWhenItComes) {
  Begin();
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({Id("a"), Id("b")}));
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("a")));
  const int32_t alone = Open("StreamSecrets", Whole({Id("b")}));
  EXPECT_THAT(Sent(alone), IsEmpty());
  EXPECT_EQ(refused_, 2) << "an entry may await upstream";
  Commit(Entry("b"));
  EXPECT_GT(wanted_, 0);
  EXPECT_THAT(Sent(alone), IsEmpty());
  Commit(Svid("b"));
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("a"), ElementsAre("a", "b")));
  EXPECT_THAT(Sent(alone), ElementsAre(ElementsAre("b")));
}

TEST_F(StreamSecretsTest, WaitsForTheFirstState) {
  gate_.answer = sets_.Get({{"unix", "uid:1"}});
  const int32_t call = Open("StreamSecrets", Whole({"ROOTCA"}));
  EXPECT_THAT(Sent(call), IsEmpty());
  Change first = Bundle("example.org", kDer);
  first.set_reset(true);
  first.MergeFrom(Entry("a"));
  Commit(first);
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("ROOTCA")));
}

TEST_F(StreamSecretsTest, PushesOnlyWhatAStreamAskedFor) {
  Begin();
  Grant("a");
  Grant("b");
  const int32_t a = Open("StreamSecrets", Whole({Id("a")}));
  const int32_t roots = Open("StreamSecrets", Whole({"ROOTCA"}));
  Commit(Svid("b", 2));
  Commit(Svid("a", 1));
  EXPECT_THAT(Sent(a), SizeIs(1)) << "the same chain again";
  Commit(Svid("a", 2));
  EXPECT_THAT(Sent(a), ElementsAre(ElementsAre("a"), ElementsAre("a")));
  EXPECT_THAT(Sent(roots), SizeIs(1));
  Commit(Bundle("example.org", "\x30\x01\x02"));
  EXPECT_THAT(Sent(a), SizeIs(2));
  EXPECT_THAT(Sent(roots), SizeIs(2));
  const auto answers = Answers<discovery::DiscoveryResponse>(roots);
  EXPECT_NE(answers[0].version_info(), answers[1].version_info());
  EXPECT_NE(answers[0].nonce(), answers[1].nonce());
}

TEST_F(StreamSecretsTest, AnswersNoAcknowledgementAndNoRefusal) {
  Begin();
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({Id("a")}));
  Say(call, Taken(call, {Id("a")}));
  EXPECT_THAT(Sent(call), SizeIs(1));
  discovery::DiscoveryRequest refusal = Taken(call, {Id("a")});
  refusal.set_version_info("");
  refusal.mutable_error_detail()->set_code(13);
  refusal.mutable_error_detail()->set_message("Failed to load\n" + std::string(500, 'x'));
  testing::internal::CaptureStdout();
  Say(call, refusal);
  const std::string logged = testing::internal::GetCapturedStdout();
  EXPECT_THAT(logged, HasSubstr("Envoy refused SDS resources"));
  EXPECT_THAT(logged, HasSubstr("Failed to load"));
  EXPECT_LT(logged.size(), 700U) << "what it says is cut";
  EXPECT_THAT(Sent(call), SizeIs(1)) << "the same would be refused again";
  Commit(Svid("a", 2));
  EXPECT_THAT(Sent(call), SizeIs(2));
}

TEST_F(StreamSecretsTest, ARefusalMayAskForOtherNames) {
  Begin();
  Grant("a");
  Grant("b");
  const int32_t call = Open("StreamSecrets", Whole({Id("a")}));
  discovery::DiscoveryRequest refusal = Taken(call, {Id("b")});
  refusal.mutable_error_detail()->set_message("no");
  Say(call, refusal);
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("a"), ElementsAre("b")));
}

TEST_F(StreamSecretsTest, IgnoresARequestOfAnEarlierAnswer) {
  Begin();
  Grant("a");
  Grant("b");
  const int32_t call = Open("StreamSecrets", Whole({Id("a")}));
  const discovery::DiscoveryRequest early = Taken(call, {Id("a"), Id("b")});
  Commit(Svid("a", 2));
  EXPECT_THAT(Sent(call), SizeIs(2));
  Say(call, early);
  EXPECT_THAT(Sent(call), SizeIs(2));
  Say(call, Taken(call, {Id("a"), Id("b")}));
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("a"), ElementsAre("a"), ElementsAre("a", "b")));
}

TEST_F(StreamSecretsTest, AnswersOtherNamesOnlyWithSomethingNew) {
  Begin();
  Grant("a");
  Grant("b");
  const int32_t call = Open("StreamSecrets", Whole({Id("a"), Id("b")}));
  Say(call, Taken(call, {Id("a")}));
  EXPECT_THAT(Sent(call), SizeIs(1)) << "fewer names";
  Commit(Svid("b", 2));
  EXPECT_THAT(Sent(call), SizeIs(1)) << "unsubscribed";
  Say(call, Taken(call, {Id("a"), Id("b")}));
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("a", "b"), ElementsAre("a", "b")));
}

TEST_F(StreamSecretsTest, LeavesOutWhatIsGone) {
  Begin();
  Grant("a");
  Grant("b");
  const int32_t call = Open("StreamSecrets", Whole({Id("a"), Id("b")}));
  Commit(Without("b"));
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("a", "b"), ElementsAre("a")));
  Commit(Without("a"));
  EXPECT_THAT(Sent(call).back(), IsEmpty());
  EXPECT_FALSE(Ended(call));
  Grant("a");
  EXPECT_THAT(Sent(call).back(), ElementsAre("a"));
}

TEST_F(StreamSecretsTest, ARemovedTrustDomainIsGone) {
  Begin();
  Commit(Bundle("other.org", kDer));
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({"ALL", "spiffe://other.org"}));
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("ALL", "spiffe://other.org")));
  Change change;
  change.add_removed_bundles("other.org");
  Commit(change);
  EXPECT_THAT(Sent(call).back(), ElementsAre("ALL"));
  const auto answers = Answers<discovery::DiscoveryResponse>(call);
  EXPECT_THAT(answers[0].resources(0).value(), HasSubstr("other.org"));
  EXPECT_THAT(answers[1].resources(0).value(), Not(HasSubstr("other.org")));
}

TEST_F(StreamSecretsTest, TheFirstRequestsNodeSaysHowToValidate) {
  Begin();
  Grant("a");
  discovery::DiscoveryRequest request = Whole({"ROOTCA", "ALL"});
  auto& version = *request.mutable_node()->mutable_user_agent_build_version()->mutable_version();
  version.set_major_number(1);
  version.set_minor_number(17);
  const int32_t call = Open("StreamSecrets", request);
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("ROOTCA"))) << "ALL needs the validator";
  EXPECT_THAT(Answers<discovery::DiscoveryResponse>(call)[0].resources(0).value(),
              Not(HasSubstr("envoy.tls.cert_validator.spiffe")));
  Say(call, Taken(call, {"ROOTCA", "ALL"}));
  EXPECT_THAT(Sent(call), SizeIs(1));
  version.set_minor_number(18);
  EXPECT_THAT(Sent(Open("StreamSecrets", request)), ElementsAre(ElementsAre("ALL", "ROOTCA")));
}

TEST_F(StreamSecretsTest, AnExpiredSvidIsGone) {
  Begin();
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({Id("a")}));
  server_.clock.Advance(absl::Hours(1));
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("a"), IsEmpty()));
}

TEST_F(StreamSecretsTest, KeepsTheDefaultWhileAnotherIsSigned) {
  Begin();
  Grant("b");
  const int32_t call = Open("StreamSecrets", Whole({"default"}));
  EXPECT_THAT(Sent(call), SizeIs(1));
  Commit(Entry("a"));
  EXPECT_THAT(Sent(call), SizeIs(1)) << "the first identity has no SVID yet";
  Commit(Svid("a", 2));
  EXPECT_THAT(Sent(call), SizeIs(2));
  Commit(Entry("0"));
  server_.clock.Advance(IdentitySet::kPatience);
  EXPECT_THAT(Sent(call), SizeIs(2)) << "of those that there are it is the first still";
}

TEST_F(StreamSecretsTest, NoNameAsksForEverything) {
  Begin();
  Commit(Bundle("other.org", kDer));
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({}));
  EXPECT_THAT(Sent(call),
              ElementsAre(ElementsAre("spiffe://example.org", "a", "spiffe://other.org")));
  Grant("b");
  EXPECT_THAT(Sent(call).back(),
              ElementsAre("spiffe://example.org", "a", "b", "spiffe://other.org"));
}

TEST_F(StreamSecretsTest, RefusesWhatIsTooMuchOrOfAnotherType) {
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
  const int32_t damaged =
      client_->Open(Http2Client::GrpcHeaders(std::string(kSdsService) + "StreamSecrets"));
  client_->Send(damaged, Http2Client::Framed("\xff"));
  EXPECT_EQ(client_->WaitClosed(damaged).status(), 13);
}

TEST_F(StreamSecretsTest, KeepsSoManyNamesOfAUser) {
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

TEST_F(StreamSecretsTest, CallersWithoutIdentityGetTheBundleWhereThatIsAllowed) {
  Begin();
  const int32_t call = Open("StreamSecrets", Whole({"ROOTCA"}));
  EXPECT_THAT(Sent(call), IsEmpty());
  EXPECT_FALSE(Ended(call));
  EXPECT_EQ(refused_, 1);
  service_.SetAllowUnauthenticatedVerifiers(true);
  EXPECT_THAT(Sent(Open("StreamSecrets", Whole({"ROOTCA", "default"}))),
              ElementsAre(ElementsAre("ROOTCA")));
}

TEST_F(StreamSecretsTest, LooksAtTheCallerAgainBeforeEachMessage) {
  Begin();
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({Id("a")}));
  EXPECT_THAT(Sent(call), SizeIs(1));
  EXPECT_EQ(gate_.asked, 1);
  Say(call, Taken(call, {Id("a")}));
  Grant("b");
  EXPECT_EQ(gate_.asked, 1) << "nothing new to send";
  gate_.answer = PermissionDenied("the caller executed another program after it connected");
  Commit(Svid("a", 2));
  EXPECT_THAT(Sent(call), SizeIs(1));
  EXPECT_EQ(client_->WaitClosed(call).status(), 7);
  EXPECT_EQ(gate_.asked, 2);
}

TEST_F(StreamSecretsTest, FollowsACallerToItsNewIdentities) {
  Begin();
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({Id("a"), "ROOTCA"}));
  gate_.answer = sets_.Get({{"unix", "uid:2"}});
  Commit(Svid("a", 2));
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("ROOTCA", "a"), IsEmpty()));
}

TEST_F(StreamSecretsTest, EndsWithItsCaller) {
  Begin();
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({Id("a")}));
  gate_.observed->OnCallerGone(PermissionDenied("the caller has other credentials"));
  EXPECT_EQ(client_->WaitClosed(call).status(), 7);
  gate_.answer = Unavailable("workload attestation failed");
  EXPECT_EQ(client_->WaitClosed(Open("DeltaSecrets", Delta({Id("a")}))).status(), 14);
}

TEST_F(StreamSecretsTest, AClientThatSaysNoMoreEndsTheStream) {
  Begin();
  Grant("a");
  const int32_t call = client_->Start(std::string(kSdsService) + "StreamSecrets",
                                      Whole({Id("a")}).SerializeAsString());
  EXPECT_EQ(client_->WaitClosed(call).status(), 0);
  EXPECT_THAT(Sent(call), SizeIs(1));
}

class FetchSecretsTest : public SdsTest {
 protected:
  int32_t Fetch(const std::vector<std::string>& names) {
    return client_->Start(std::string(kSdsService) + "FetchSecrets",
                          Whole(names).SerializeAsString());
  }
};

TEST_F(FetchSecretsTest, AnswersOnce) {
  Begin();
  Grant("a");
  const int32_t call = Fetch({Id("a"), "ROOTCA"});
  EXPECT_EQ(client_->WaitClosed(call).status(), 0);
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("ROOTCA", "a")));
  const int32_t all = Fetch({});
  EXPECT_EQ(client_->WaitClosed(all).status(), 0);
  EXPECT_THAT(Sent(all), ElementsAre(ElementsAre("spiffe://example.org", "a")));
}

TEST_F(FetchSecretsTest, WaitsForAnSvidThatIsBeingSigned) {
  Begin();
  Commit(Entry("a"));
  const int32_t call = Fetch({Id("a")});
  EXPECT_FALSE(Ended(call));
  Commit(Svid("a"));
  EXPECT_EQ(client_->WaitClosed(call).status(), 0);
  EXPECT_THAT(Sent(call), ElementsAre(ElementsAre("a")));
  Commit(Entry("b"));
  const int32_t late = Fetch({Id("b")});
  EXPECT_FALSE(Ended(late));
  server_.clock.Advance(IdentitySet::kPatience);
  EXPECT_EQ(client_->WaitClosed(late).status(), 3);
}

TEST_F(FetchSecretsTest, RefusesWhatTheCallerHasNot) {
  Begin();
  EXPECT_EQ(client_->WaitClosed(Fetch({Id("a")})).status(), 7);
  EXPECT_EQ(client_->WaitClosed(Fetch({})).status(), 7);
  EXPECT_EQ(refused_, 2);
  Grant("a");
  const int32_t call = Fetch({Id("a"), "what\nis this"});
  EXPECT_EQ(client_->WaitClosed(call).status(), 3);
  EXPECT_THAT(client_->stream(call).message(), HasSubstr("what\\x0ais this"));
}

TEST_F(FetchSecretsTest, WaitsAWhileForTheFirstState) {
  gate_.answer = sets_.Get({{"unix", "uid:1"}});
  const int32_t call = Fetch({"ROOTCA"});
  EXPECT_FALSE(Ended(call));
  server_.clock.Advance(absl::Seconds(2));
  EXPECT_EQ(client_->WaitClosed(call).status(), 14);
}

}  // namespace
}  // namespace assay
