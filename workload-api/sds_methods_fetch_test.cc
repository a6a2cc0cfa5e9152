// SPDX-License-Identifier: GPL-3.0-or-later
// What proxies that ask once are sent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/test_sds.h"
#include "workload-api/sds_methods.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

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
  EXPECT_THAT(client_->stream(call).message(),
              HasSubstr("workload is not authorized for the requested identities "
                        "[\"what\\x0ais this\"]"));
  const int32_t two = Fetch({"b", "a", "ROOTCA"});
  EXPECT_EQ(client_->WaitClosed(two).status(), 3);
  EXPECT_THAT(client_->stream(two).message(), HasSubstr("[\"a\" \"b\"]"));
}

TEST_F(FetchSecretsTest, WaitsAWhileForTheFirstState) {
  Admit();
  const int32_t call = Fetch({"ROOTCA"});
  EXPECT_FALSE(Ended(call));
  server_.clock.Advance(absl::Seconds(2));
  EXPECT_EQ(client_->WaitClosed(call).status(), 14);
}

}  // namespace
}  // namespace assay
