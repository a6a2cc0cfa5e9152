// SPDX-License-Identifier: GPL-3.0-or-later
// What callers of the JWT profile are answered, of a state that changes.
#include "workload-api/jwt_methods.h"

#include "base/log.h"
#include "tests/support/test_jwt_methods.h"

namespace assay {
namespace {

using testing::_;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;

TEST_F(JwtMethodsTest, BundlesAreSentAtOnceAndWhenTheyHaveChanged) {
  // WLAPI-06 WLAPI-07 WLAPI-08 WLAPI-29 WLAPI-35 WLAPI-36 WLAPI-37 FED-31
  const int32_t call = Start("FetchJWTBundles");
  const auto own = Pair("spiffe://example.org", ElementsAre("own"));
  EXPECT_THAT(Bundles(call), ElementsAre(UnorderedElementsAre(own)));
  Commit({});
  Commit(Svid("a"));
  SetBundle("example.org", {own_.authority()});
  EXPECT_THAT(Bundles(call), SizeIs(1)) << "nothing has changed";
  Federate();
  const TestJwtKey next("next");
  SetBundle("example.org", {own_.authority(), next.authority()});
  Change withdrawn;
  withdrawn.add_removed_bundles("b.test");
  Commit(withdrawn);
  SetBundle("example.org", {});
  const auto both = Pair("spiffe://example.org", ElementsAre("own", "next"));
  const auto foreign = Pair("spiffe://b.test", ElementsAre("foreign"));
  EXPECT_THAT(Bundles(call),
              ElementsAre(_, UnorderedElementsAre(own, foreign),
                          UnorderedElementsAre(both, foreign), UnorderedElementsAre(both),
                          UnorderedElementsAre(Pair("spiffe://example.org", ElementsAre()))));
}

TEST_F(JwtMethodsTest, BundlesAreForThoseWithAnIdentity) {
  // WLAPI-28
  const int32_t call = Start("FetchJWTBundles");
  EXPECT_THAT(Bundles(call), SizeIs(1));
  Change removed;
  removed.add_removed_entries("a");
  Commit(removed);
  EXPECT_EQ(StatusOf(call), "7 no identity issued");
  EXPECT_EQ(StatusOf(Start("FetchJWTBundles")), "7 no identity issued");
}

TEST_F(JwtMethodsTest, WhoeverVerifiesMayHaveTheOwnBundleWhereThatIsAllowed) {
  Federate();
  service_.SetAllowUnauthenticatedVerifiers(true);
  Change removed;
  removed.add_removed_entries("a");
  Commit(removed);
  const int32_t call = Start("FetchJWTBundles");
  EXPECT_THAT(Bundles(call),
              ElementsAre(UnorderedElementsAre(Pair("spiffe://example.org", ElementsAre("own")))));
  EXPECT_EQ(FetchStatus({"x"}), "7 no identity issued");
}

TEST_F(JwtMethodsTest, RefusesWhatIsTooMuchBeforeTheCallerIsLookedAt) {
  gate_.asked = 0;
  EXPECT_THAT(FetchStatus(std::vector<std::string>(65, "x")), HasSubstr("3 audience has 65"));
  EXPECT_THAT(FetchStatus({std::string(JwtSvidKey::kMaxAudienceBytes + 1, 'x')}),
              HasSubstr("3 audience has 1"));
  EXPECT_THAT(Validate("x", std::string(JwtSvidKey::kMaxAudienceBytes + 1, 'x')).status,
              HasSubstr("3 audience has"));
  EXPECT_THAT(Validate(std::string(crypto::Jws::kMaxBytes + 1, 'x')).status,
              HasSubstr("3 unable to parse JWT token"));
  EXPECT_EQ(gate_.asked, 0);
}

// The status of each call that was ended.
std::vector<std::string> Ended(const std::vector<std::string>& statuses) {
  std::vector<std::string> ended;
  std::copy_if(statuses.begin(), statuses.end(), std::back_inserter(ended),
               [](const std::string& status) { return !status.empty(); });
  return ended;
}

TEST_F(JwtMethodsTest, WhatCallsThatWaitKeepIsChargedToTheirUser) {
  gate_.waits = true;
  ValidateJWTSVIDRequest request;
  request.set_audience("x");
  request.set_svid(std::string(crypto::Jws::kMaxBytes, 'x'));
  std::vector<std::unique_ptr<Http2Client>> clients;
  std::vector<std::string> statuses;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(server_.Connect());
    for (int j = 0; j < 50; ++j) {
      const int32_t call =
          clients.back()->Start("/SpiffeWorkloadAPI/ValidateJWTSVID", request.SerializeAsString());
      for (int step = 0; step < 5; ++step) {
        clients.back()->Step();
      }
      const auto& stream = clients.back()->stream(call);
      statuses.push_back(stream.status() == -1 ? "" : stream.message());
    }
  }
  EXPECT_THAT(Ended(statuses), SizeIs(testing::AllOf(testing::Gt(60u), testing::Lt(90u))));
  EXPECT_THAT(Ended(statuses), testing::Each("no memory for a large request at this time"));
  // With the calls goes what they kept.
  clients.clear();
  Step();
  gate_.waits = false;
  EXPECT_THAT(Validate(std::string(crypto::Jws::kMaxBytes, 'x')).status, HasSubstr("3 "));
}

TEST_F(JwtMethodsTest, WhatTheUpstreamSaysMayBeAnyBytes) {
  roles::JwtChange change;
  roles::JwtFailure& failure = *change.add_failures();
  failure.set_error("no \xff");
  roles::JwtChange parsed;
  EXPECT_TRUE(parsed.ParseFromString(change.SerializeAsString()));
}

TEST_F(JwtMethodsTest, TheLogTellsWhoGotWhatAndWhoDidNot) {
  const log::Level before = log::GetLevel();
  log::SetLevel(log::Level::kDebug);
  testing::internal::CaptureStdout();
  Tell("a", {"x"}, "t0ken");
  Fetched(StartFetch({"x"}));
  StartFetch({"y"});
  Step();
  TellFailure("a", {"y"}, "no");
  FetchStatus({});
  FetchStatus({"x"}, "nope");
  Validate("opaque", "");
  Validate("");
  const std::string log = testing::internal::GetCapturedStdout();
  log::SetLevel(before);
  for (const char* line :
       {"level=debug msg=\"Fetched JWT SVID\" method=FetchJWTSVID .*spiffe_id=.*example.org/a",
        "level=error msg=\"Could not fetch JWT-SVID\" error=no .*spiffe_id=.*example.org/a",
        "msg=\"Missing required audience parameter\" .*method=FetchJWTSVID",
        "msg=\"Invalid requested SPIFFE ID\" .*method=FetchJWTSVID",
        "msg=\"Missing required audience parameter\" .*method=ValidateJWTSVID",
        "msg=\"Missing required svid parameter\" .*method=ValidateJWTSVID"}) {
    EXPECT_THAT(log, testing::ContainsRegex(line));
  }
  EXPECT_THAT(log, testing::Not(HasSubstr("t0ken")));
}

TEST_F(JwtMethodsTest, RefusesWhoIsNotAdmitted) {
  gate_.answer = Unavailable("workload attestation failed");
  EXPECT_EQ(Validate(Token(own_, "spiffe://example.org/w")).status,
            "14 workload attestation failed");
}

}  // namespace
}  // namespace assay
