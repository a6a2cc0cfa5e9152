// SPDX-License-Identifier: GPL-3.0-or-later
// What proxies that ask for deltas are sent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/test_sds.h"
#include "workload-api/sds_methods.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using DeltaSecretsTest = SdsTest;

TEST_F(DeltaSecretsTest, TellsWhatIsNewAndWhatIsGone) {
  Begin();
  Grant("a");
  Grant("b");
  const int32_t call = Open("DeltaSecrets", Delta({Id("a"), Id("b"), Id("c")}));
  const std::string a = "+" + Id("a") + " ", b = "+" + Id("b") + " ", c = "+" + Id("c") + " ";
  EXPECT_THAT(DeltasSent(call), ElementsAre(a + b));
  Commit(Svid("b", 2));
  EXPECT_THAT(DeltasSent(call), ElementsAre(a + b, b));
  Grant("c");
  EXPECT_THAT(DeltasSent(call).back(), c);
  Commit(Without("b"));
  EXPECT_THAT(DeltasSent(call).back(), "-" + Id("b") + " ");
  Say(call, Delta({}, {Id("a")}));
  Commit(Svid("a", 2));
  EXPECT_THAT(DeltasSent(call), SizeIs(4)) << "unsubscribed";
  Grant("b");
  EXPECT_THAT(DeltasSent(call).back(), b) << "it is subscribed to still";
}

TEST_F(DeltaSecretsTest, KnowsWhatTheClientHasFromBefore) {
  Begin();
  Grant("a");
  Grant("b");
  const int32_t first = Open("DeltaSecrets", Delta({Id("a"), Id("b")}));
  discovery::DeltaDiscoveryRequest again = Delta({Id("a"), Id("b"), Id("c")});
  const auto answers = Answers<discovery::DeltaDiscoveryResponse>(first);
  for (const auto& resource : answers.front().resources()) {
    (*again.mutable_initial_resource_versions())[resource.name()] = resource.version();
  }
  (*again.mutable_initial_resource_versions())[Id("c")] = "old";
  (*again.mutable_initial_resource_versions())["not asked for"] = "old";
  const int32_t call = Open("DeltaSecrets", again);
  EXPECT_THAT(DeltasSent(call), ElementsAre("-" + Id("c") + " "));
  Commit(Svid("b", 2));
  EXPECT_THAT(DeltasSent(call).back(), "+" + Id("b") + " ");
}

TEST_F(DeltaSecretsTest, IsSentAgainToWhoSubscribesAgain) {
  Begin();
  Grant("a");
  const int32_t call = Open("DeltaSecrets", Delta({Id("a")}));
  discovery::DeltaDiscoveryRequest refusal = Delta({});
  refusal.set_response_nonce("1");
  refusal.mutable_error_detail()->set_message("no");
  Say(call, refusal);
  EXPECT_THAT(DeltasSent(call), SizeIs(1));
  Say(call, Delta({Id("a")}));
  EXPECT_THAT(DeltasSent(call), SizeIs(2));
}

TEST_F(DeltaSecretsTest, WaitsForTheFirstState) {
  Admit();
  discovery::DeltaDiscoveryRequest request = Delta({"ROOTCA", Id("b")});
  (*request.mutable_initial_resource_versions())[Id("b")] = "old";
  const int32_t call = Open("DeltaSecrets", request);
  EXPECT_THAT(DeltasSent(call), IsEmpty()) << "nothing is known to be gone";
  Change first = Bundle("example.org", kDer);
  first.set_reset(true);
  first.MergeFrom(Entry("a"));
  first.MergeFrom(Svid("a"));
  Commit(first);
  EXPECT_THAT(DeltasSent(call), ElementsAre("+ROOTCA -" + Id("b") + " "));
}

TEST_F(DeltaSecretsTest, TellsAllThereIsToWhoNamesNothing) {
  Begin();
  const int32_t call = Open("DeltaSecrets", Delta({}));
  EXPECT_THAT(DeltasSent(call), IsEmpty());
  Grant("a");
  EXPECT_THAT(DeltasSent(call), ElementsAre("+spiffe://example.org ", "+" + Id("a") + " "));
  Commit(Without("a"));
  EXPECT_THAT(DeltasSent(call).back(), "-spiffe://example.org -" + Id("a") + " ");
}

}  // namespace
}  // namespace assay
