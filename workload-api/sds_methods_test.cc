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
  Admit();
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
  EXPECT_THAT(logged, HasSubstr("Envoy reported errors applying secrets"));
  EXPECT_THAT(logged, HasSubstr("Failed to load"));
  EXPECT_THAT(logged, HasSubstr("spiffe://example.org/a"));
  EXPECT_LT(logged.size(), 800U) << "what it says is cut";
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
  Say(call, Whole({Id("a"), Id("b")}));
  EXPECT_THAT(Sent(call), SizeIs(2)) << "one answers the first, the other none";
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

TEST_F(StreamSecretsTest, OpenStreamsGetAndLoseTheBundleWhenThatIsAllowedAndNoMore) {
  Begin();
  const int32_t whole = Open("StreamSecrets", Whole({"ROOTCA", "default"}));
  const int32_t delta = Open("DeltaSecrets", Delta({"ROOTCA"}));
  service_.SetAllowUnauthenticatedVerifiers(true);
  EXPECT_THAT(Sent(whole), ElementsAre(ElementsAre("ROOTCA")));
  EXPECT_THAT(DeltasSent(delta), ElementsAre("+ROOTCA "));
  service_.SetAllowUnauthenticatedVerifiers(true);
  EXPECT_THAT(DeltasSent(delta), SizeIs(1));
  service_.SetAllowUnauthenticatedVerifiers(false);
  EXPECT_THAT(Sent(whole).back(), IsEmpty());
  EXPECT_THAT(DeltasSent(delta).back(), "-ROOTCA ");
}

TEST_F(StreamSecretsTest, AClientThatSaysNoMoreEndsTheStream) {
  Begin();
  Grant("a");
  const int32_t call = client_->Start(std::string(kSdsService) + "StreamSecrets",
                                      Whole({Id("a")}).SerializeAsString());
  EXPECT_EQ(client_->WaitClosed(call).status(), 0);
  EXPECT_THAT(Sent(call), SizeIs(1));
}

TEST_F(StreamSecretsTest, ARefusalOfAnEarlierAnswerIsLoggedToo) {
  Begin();
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({Id("a")}));
  discovery::DiscoveryRequest refusal = Taken(call, {Id("a"), "ROOTCA"});
  refusal.mutable_error_detail()->set_message("key mismatch");
  Commit(Svid("a", 2));
  EXPECT_THAT(Sent(call), SizeIs(2));
  testing::internal::CaptureStdout();
  Say(call, refusal);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("key mismatch"));
  EXPECT_THAT(Sent(call), SizeIs(2)) << "its names are not taken";
}

}  // namespace
}  // namespace assay
