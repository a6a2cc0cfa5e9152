// SPDX-License-Identifier: GPL-3.0-or-later
// What callers of the JWT profile are answered, of a state that changes.
#include "workload-api/jwt_methods.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "spiffe/workload.pb.h"
#include "tests/support/fake_serve.h"
#include "tests/support/test_jwt.h"
#include "tests/support/test_workload_api.h"

namespace assay {
namespace {

using nlohmann::json;
using testing::_;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class JwtMethodsTest : public testing::Test, protected TestWorkloadApi {
 protected:
  JwtMethodsTest() {
    Change first = Entry("a");
    first.set_reset(true);
    AddBundle(first, "example.org", {own_.authority()});
    AddBundle(first, "b.test", {foreign_.authority()});
    Commit(first);
    Admit();
  }
  static void AddBundle(Change& change, const std::string& trust_domain,
                        const std::vector<JwtAuthority>& authorities) {
    roles::Bundle& bundle = *change.add_bundles();
    bundle.set_trust_domain(trust_domain);
    bundle.set_x509_authorities("roots");
    for (const JwtAuthority& authority : authorities) {
      roles::JwtAuthority& added = *bundle.add_jwt_authorities();
      added.set_key_id(authority.key_id);
      added.set_public_key(authority.public_key.spki());
    }
  }
  void SetBundle(const std::string& trust_domain, const std::vector<JwtAuthority>& authorities) {
    Change change;
    AddBundle(change, trust_domain, authorities);
    Commit(change);
  }
  void Federate() {
    Change change = Entry("a");
    change.mutable_entries(0)->add_federates_with("b.test");
    Commit(change);
  }
  std::string Token(const TestJwtKey& key, const std::string& id, json more = {}) const {
    json claims = TestJwtKey::Claims(id, {"x"}, server_.clock.Now());
    claims.update(more.is_null() ? json::object() : more);
    return key.Token(claims);
  }
  Outcome<ValidateJWTSVIDResponse> Validate(const std::string& token,
                                            const std::string& audience = "x") {
    ValidateJWTSVIDRequest request;
    request.set_audience(audience);
    request.set_svid(token);
    return Call<ValidateJWTSVIDResponse>("ValidateJWTSVID", request);
  }
  // The bundles of each message so far: their trust domains, and the ids of their keys.
  std::vector<std::map<std::string, std::vector<std::string>>> Bundles(int32_t call) {
    std::vector<std::map<std::string, std::vector<std::string>>> sent;
    for (const std::string& bytes : Messages(call)) {
      JWTBundlesResponse response;
      EXPECT_TRUE(response.ParseFromString(bytes));
      sent.emplace_back();
      for (const auto& [id, document] : response.bundles()) {
        std::vector<std::string>& ids = sent.back()[id];
        const json set = json::parse(document);
        for (const json& key : set.at("keys")) {
          ids.push_back(key.at("kid").get<std::string>());
          EXPECT_FALSE(key.contains("x5c"));
        }
      }
    }
    return sent;
  }

  int32_t StartFetch(const std::vector<std::string>& audience, const std::string& id = "") {
    JWTSVIDRequest request;
    request.mutable_audience()->Add(audience.begin(), audience.end());
    request.set_spiffe_id(id);
    return Start("FetchJWTSVID", request.SerializeAsString());
  }
  std::string FetchStatus(const std::vector<std::string>& audience, const std::string& id = "") {
    return StatusOf(StartFetch(audience, id));
  }
  // The entries and audiences that the identity role was asked to mint for since the last time:
  // "a x,y", with the number of the request where it is for one call.
  std::vector<std::string> Minted() {
    Step();
    std::vector<std::string> minted;
    for (const roles::ServeRequest& request : std::exchange(requests_, {})) {
      if (request.has_mint_jwt()) {
        const std::string number = request.mint_jwt().request() == 0
                                       ? ""
                                       : fmt::format("{} ", request.mint_jwt().request());
        minted.push_back(number + FakeServe::KeyText(request.mint_jwt().key()));
      }
    }
    return minted;
  }
  static void SetKey(roles::JwtSvidKey& key, const std::string& entry,
                     const std::vector<std::string>& audience) {
    key.set_entry_id(entry);
    key.mutable_audience()->Add(audience.begin(), audience.end());
  }
  // As the identity role answers.
  void Tell(const std::string& entry, const std::vector<std::string>& audience,
            const std::string& text, absl::Duration ttl = absl::Minutes(5), uint64_t request = 0) {
    roles::JwtChange change;
    roles::JwtSvid& svid = *change.add_svids();
    SetKey(*svid.mutable_key(), entry, audience);
    svid.set_request(request);
    svid.set_spiffe_id("spiffe://example.org/" + entry);
    svid.set_token(text);
    svid.set_key_id("own");
    svid.set_expires_at(absl::ToUnixSeconds(server_.clock.Now() + ttl));
    svid.set_late_at(absl::ToUnixSeconds(server_.clock.Now() + ttl / 2));
    ASSERT_OK(jwt_tokens_.Take(change));
  }
  void TellFailure(const std::string& entry, const std::vector<std::string>& audience,
                   const std::string& error) {
    roles::JwtChange change;
    roles::JwtFailure& failure = *change.add_failures();
    SetKey(*failure.mutable_key(), entry, audience);
    failure.set_error(error);
    ASSERT_OK(jwt_tokens_.Take(change));
  }
  // "a=token" of each SVID in the answer, or the status of a call that failed.
  std::vector<std::string> Fetched(int32_t call) {
    const auto outcome = Finished<JWTSVIDResponse>(call);
    if (outcome.status != "0 ") {
      return {outcome.status};
    }
    std::vector<std::string> fetched;
    for (const JWTSVID& svid : outcome.response.svids()) {
      fetched.push_back(svid.spiffe_id().substr(svid.spiffe_id().rfind('/') + 1) + svid.hint() +
                        "=" + svid.svid());
    }
    return fetched;
  }

  const TestJwtKey own_{"own"}, foreign_{"foreign"};
};

TEST_F(JwtMethodsTest, FetchesOneOfEachIdentityForTheAudience) {
  // WLAPI-30 WLAPI-31 WLAPI-33 WLAPI-34 WLAPI-48
  Commit(Entry("b", "h"));
  Commit(Entry("c", "h"));
  const int32_t call = StartFetch({"y", "x", "y"});
  EXPECT_THAT(Minted(), ElementsAre("a x,y", "b x,y"));
  Tell("b", {"x", "y"}, "token of b");
  EXPECT_THAT(Fetched(call), ElementsAre("")) << "it waits for the other";
  Tell("a", {"x", "y"}, "token of a");
  EXPECT_THAT(Fetched(call), ElementsAre("a=token of a", "bh=token of b"));
}

TEST_F(JwtMethodsTest, AnswersThoughTheCacheHasNotRoomForAll) {
  Commit(Entry("b"));
  Tell("a", {"x"}, "first");
  const int32_t call = StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("b x"));
  roles::JwtChange change;
  SetKey(*change.add_removed(), "a", {"x"});
  ASSERT_OK(jwt_tokens_.Take(change));
  Tell("b", {"x"}, "second");
  ASSERT_OK(jwt_tokens_.Take(change));
  EXPECT_THAT(Fetched(call), ElementsAre("a=first", "b=second"));
  EXPECT_THAT(Minted(), SizeIs(0));
}

TEST_F(JwtMethodsTest, FetchesThatOfOneIdentityWhenAsked) {
  // WLAPI-32
  Commit(Entry("b"));
  const int32_t call = StartFetch({"x"}, "spiffe://example.org/b");
  EXPECT_THAT(Minted(), ElementsAre("b x"));
  Tell("b", {"x"}, "token");
  EXPECT_THAT(Fetched(call), ElementsAre("b=token"));
  EXPECT_EQ(FetchStatus({"x"}, "spiffe://example.org/nope"), "7 no identity issued");
  EXPECT_THAT(FetchStatus({"x"}, "spiffe://a.test/"), HasSubstr("3 invalid requested SPIFFE ID"));
}

TEST_F(JwtMethodsTest, WantsAnAudience) {
  // WLAPI-11 WLAPI-30
  for (const std::vector<std::string>& bad :
       {std::vector<std::string>{}, {""}, {"a", ""}, std::vector<std::string>(65, "a")}) {
    EXPECT_THAT(FetchStatus(bad), HasSubstr("3 audience "));
  }
  EXPECT_THAT(FetchStatus({std::string(9000, 'a')}), HasSubstr("3 audience "));
  EXPECT_THAT(Minted(), SizeIs(0));
}

TEST_F(JwtMethodsTest, GivesNoneToCallersWithoutAnIdentity) {
  // WLAPI-33
  Change removed;
  removed.add_removed_entries("a");
  Commit(removed);
  EXPECT_EQ(FetchStatus({"x"}), "7 no identity issued");
  EXPECT_THAT(Minted(), SizeIs(0));
}

TEST_F(JwtMethodsTest, GivesAtOnceWhatIsThereAndTellsThatItIsUsed) {
  Tell("a", {"x"}, "token");
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(Fetched(StartFetch({"x"})), ElementsAre("a=token"));
  }
  EXPECT_THAT(requests_, SizeIs(0));
  server_.clock.Advance(JwtTokens::kUseDelay);
  Step();
  ASSERT_THAT(requests_, SizeIs(1));
  EXPECT_EQ(FakeServe::KeyText(requests_[0].used_jwts().keys(0)), "a x");
}

TEST_F(JwtMethodsTest, OfWhatHasMadeWayNoUseIsTold) {
  Tell("a", {"x"}, "token");
  EXPECT_THAT(Fetched(StartFetch({"x"})), ElementsAre("a=token"));
  roles::JwtChange change;
  SetKey(*change.add_removed(), "a", {"x"});
  ASSERT_OK(jwt_tokens_.Take(change));
  server_.clock.Advance(JwtTokens::kUseDelay);
  Step();
  EXPECT_THAT(requests_, SizeIs(0));
}

TEST_F(JwtMethodsTest, CallsForTheSameAreAskedForOnce) {
  const int32_t first = StartFetch({"x"}), second = StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("a x"));
  Tell("a", {"x"}, "token");
  EXPECT_THAT(Fetched(first), ElementsAre("a=token"));
  EXPECT_THAT(Fetched(second), ElementsAre("a=token"));
  jwt_tokens_.AskAgain();
  EXPECT_THAT(Minted(), SizeIs(0));
  StartFetch({"y"});
  EXPECT_THAT(Minted(), ElementsAre("a y"));
  jwt_tokens_.AskAgain();
  EXPECT_THAT(Minted(), ElementsAre("a y")) << "the identity role is a new one";
}

TEST_F(JwtMethodsTest, WhatANewIdentityRoleDoesNotKnowMakesWayForWhatItTells) {
  Tell("a", {"x"}, "first");
  Tell("a", {"y"}, "second");
  jwt_tokens_.AskAgain();
  EXPECT_THAT(Fetched(StartFetch({"x"})), ElementsAre("a=first")) << "the upstream may be away";
  Tell("a", {"y"}, "third");
  EXPECT_EQ(jwt_tokens_.size(), 2u);
  Tell("a", {"z"}, "fourth");
  EXPECT_EQ(jwt_tokens_.size(), 2u);
  EXPECT_THAT(Fetched(StartFetch({"y"})), ElementsAre("a=third"));
  Tell("a", {"w"}, "fifth");
  EXPECT_EQ(jwt_tokens_.size(), 3u) << "all that is here, it knows";
}

TEST_F(JwtMethodsTest, AnExpiredOneIsNotGiven) {
  Tell("a", {"x"}, "token", absl::Seconds(60));
  server_.clock.Advance(absl::Seconds(58));
  const int32_t last = StartFetch({"x"});
  Step();
  server_.clock.Advance(absl::Seconds(1));
  EXPECT_THAT(Fetched(last), ElementsAre("a=token"));
  EXPECT_THAT(Minted(), ElementsAre("a x"));
  server_.clock.Advance(absl::Seconds(1));
  const int32_t call = StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("a x"));
  EXPECT_EQ(StatusOf(call), "");
}

TEST_F(JwtMethodsTest, WhoComesLateGetsANewOne) {
  Tell("a", {"x"}, "old");
  server_.clock.Advance(absl::Seconds(150));
  requests_.clear();
  const int32_t call = StartFetch({"x"}), other = StartFetch({"x"});
  EXPECT_EQ(StatusOf(call), "");
  ASSERT_THAT(requests_, SizeIs(1));
  EXPECT_TRUE(requests_[0].mint_jwt().renews());
  Tell("a", {"x"}, "new");
  EXPECT_THAT(Fetched(call), ElementsAre("a=new"));
  EXPECT_THAT(Fetched(other), ElementsAre("a=new"));
  EXPECT_THAT(Fetched(StartFetch({"x"})), ElementsAre("a=new"));
}

TEST_F(JwtMethodsTest, ASlowUpstreamHoldsUpNobodyWhoComesLateForLong) {
  Tell("a", {"x"}, "old");
  server_.clock.Advance(absl::Seconds(150));
  const int32_t call = StartFetch({"x"});
  EXPECT_EQ(StatusOf(call), "");
  server_.clock.Advance(absl::Milliseconds(900));
  const int32_t second = StartFetch({"x"});
  EXPECT_EQ(StatusOf(second), "");
  server_.clock.Advance(absl::Milliseconds(101));
  EXPECT_THAT(Fetched(call), ElementsAre("a=old"));
  EXPECT_THAT(Fetched(second), ElementsAre("a=old"));
  EXPECT_THAT(Fetched(StartFetch({"x"})), ElementsAre("a=old")) << "that was tried just now";
  server_.clock.Advance(JwtTokens::kRenewalInterval);
  EXPECT_EQ(StatusOf(StartFetch({"x"})), "");
}

TEST_F(JwtMethodsTest, WhenNoNewOneCanBeHadTheOldOneIsGivenAtOnce) {
  Commit(Entry("b"));
  Tell("a", {"x"}, "old");
  server_.clock.Advance(absl::Seconds(150));
  const int32_t call = StartFetch({"x"}, "spiffe://example.org/a");
  EXPECT_EQ(StatusOf(call), "");
  TellFailure("a", {"x"}, "no");
  EXPECT_THAT(Fetched(call), ElementsAre("a=old"));
  server_.clock.Advance(JwtTokens::kRenewalInterval);
  const int32_t both = StartFetch({"x"});
  EXPECT_EQ(StatusOf(both), "");
  TellFailure("a", {"x"}, "no");
  EXPECT_EQ(StatusOf(both), "");
  TellFailure("b", {"x"}, "no");
  EXPECT_EQ(StatusOf(both), "14 could not fetch JWT-SVID: no");
}

TEST_F(JwtMethodsTest, OneThatMustNotBeGivenAnyMoreIsNotGivenToWhoComesLate) {
  Tell("a", {"x"}, "old");
  server_.clock.Advance(absl::Seconds(150));
  const int32_t call = StartFetch({"x"});
  EXPECT_EQ(StatusOf(call), "");
  SetBundle("example.org", {foreign_.authority()});
  server_.clock.Advance(absl::Seconds(2));
  EXPECT_EQ(StatusOf(call), "");
  SetBundle("example.org", {own_.authority()});
  Tell("a", {"x"}, "new");
  EXPECT_THAT(Fetched(call), ElementsAre("a=new"));
}

TEST_F(JwtMethodsTest, OnesThatMustDifferAreMadeForEachCall) {
  Change change = Entry("a");
  change.mutable_entries(0)->set_jwt_svid_include_jti(true);
  Commit(change);
  Tell("a", {"x"}, "old");
  const int32_t first = StartFetch({"x"}), second = StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("1 a x", "2 a x"));
  Tell("a", {"x"}, "two", absl::Minutes(5), 2);
  Tell("a", {"x"}, "one", absl::Minutes(5), 1);
  EXPECT_THAT(Fetched(first), ElementsAre("a=one"));
  EXPECT_THAT(Fetched(second), ElementsAre("a=two"));
  StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("3 a x"));
}

TEST_F(JwtMethodsTest, SaysWhyNoneCouldBeHad) {
  const int32_t failing = StartFetch({"x"});
  Step();
  TellFailure("a", {"x"}, "failed to fetch JWT SVID: no");
  EXPECT_EQ(StatusOf(failing), "14 could not fetch JWT-SVID: failed to fetch JWT SVID: no");
  const int32_t slow = StartFetch({"x"});
  EXPECT_EQ(StatusOf(slow), "");
  EXPECT_THAT(Minted(), ElementsAre("a x", "a x"));
  server_.clock.Advance(IdentitySet::kPatience);
  EXPECT_THAT(StatusOf(slow), HasSubstr("14 could not fetch JWT-SVID"));
}

TEST_F(JwtMethodsTest, ACallThatWaitsEndsWithItsIdentity) {
  // WLAPI-49
  const int32_t call = StartFetch({"x"});
  Step();
  Change removed;
  removed.add_removed_entries("a");
  Commit(removed);
  EXPECT_EQ(StatusOf(call), "7 no identity issued");
}

TEST_F(JwtMethodsTest, KeepsNoneThatIsNotGrantedOrNotTrusted) {
  // WLAPI-26
  const auto kept = [this] { return jwt_tokens_.size(); };
  Tell("a", {"x"}, "token");
  Commit({});
  EXPECT_EQ(kept(), 1u);
  Change other = Entry("a");
  other.mutable_entries(0)->set_spiffe_id("spiffe://example.org/other");
  Commit(other);
  EXPECT_EQ(kept(), 0u);
  Commit(Entry("a"));
  Tell("a", {"x"}, "token");
  Change tainted;
  AddBundle(tainted, "example.org", {own_.authority()});
  tainted.mutable_bundles(0)->mutable_jwt_authorities(0)->set_tainted(true);
  Commit(tainted);
  EXPECT_EQ(kept(), 0u);
  SetBundle("example.org", {own_.authority()});
  Tell("a", {"x"}, "token");
  SetBundle("example.org", {foreign_.authority()});
  EXPECT_EQ(kept(), 0u);
}

TEST_F(JwtMethodsTest, RefusesToKeepWhatIsNoToken) {
  roles::JwtChange change;
  change.add_svids();
  EXPECT_THAT(jwt_tokens_.Take(change), StatusIs(absl::StatusCode::kInvalidArgument, _));
}

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

TEST_F(JwtMethodsTest, ValidatesTokensOfTheOwnTrustDomainWithAllTheirClaims) {
  // WLAPI-39 WLAPI-40 WLAPI-41 WLAPI-42
  const auto valid = Validate(Token(own_, "spiffe://example.org/w", {{"more", 1}}));
  EXPECT_EQ(valid.status, "0 ");
  EXPECT_EQ(valid.response.spiffe_id(), "spiffe://example.org/w");
  EXPECT_EQ(valid.response.claims().fields().at("more").number_value(), 1);
}

TEST_F(JwtMethodsTest, ValidatesTokensOfTrustDomainsThatTheCallerFederatesWith) {
  // FED-33 WLAPI-37 WLAPI-41 TDB-11
  const std::string token = Token(foreign_, "spiffe://b.test/w", {{"more", 1}, {"shown", 2}});
  EXPECT_THAT(Validate(token).status, HasSubstr("3 no keys found for trust domain \"b.test\""));
  Federate();
  service_.AllowForeignJwtClaims({"shown"});
  const auto valid = Validate(token);
  EXPECT_EQ(valid.status, "0 ");
  EXPECT_THAT(
      valid.response.claims().fields(),
      UnorderedElementsAre(Pair("sub", _), Pair("aud", _), Pair("exp", _), Pair("shown", _)));
  SetBundle("b.test", {});
  EXPECT_THAT(Validate(token).status, HasSubstr("3 "));
  Change withdrawn;
  withdrawn.add_removed_bundles("b.test");
  Commit(withdrawn);
  EXPECT_THAT(Validate(token).status, HasSubstr("3 "));
}

TEST_F(JwtMethodsTest, ValidatesForCallersWithoutAnIdentity) {
  Change removed;
  removed.add_removed_entries("a");
  Commit(removed);
  EXPECT_EQ(Validate(Token(own_, "spiffe://example.org/w")).status, "0 ");
}

TEST_F(JwtMethodsTest, TellsWhatIsWrongWithATokenAsAnInvalidArgument) {
  // WLAPI-11 WLAPI-38 WLAPI-39 ID-25
  const std::string token = Token(own_, "spiffe://example.org/w");
  EXPECT_EQ(Validate(token, "").status, "3 audience must be specified");
  EXPECT_EQ(Validate("").status, "3 svid must be specified");
  EXPECT_EQ(Validate(token, "other").status,
            "3 expected audience in [\"other\"] (audience=[\"x\"])");
  EXPECT_THAT(Validate("opaque").status, HasSubstr("3 unable to parse JWT token"));
  EXPECT_THAT(Validate(Token(foreign_, "spiffe://example.org/w")).status,
              HasSubstr("3 public key \"foreign\" not found"));
  EXPECT_THAT(Validate(token.substr(0, token.size() - 4) + "AAAA").status, HasSubstr("3 "));
}

// Tokens that the standard has nobody accept, each with the words of the answer.
class BadTokens final {
 public:
  BadTokens(const TestJwtKey& key, absl::Time now)
      : key_(key), now_(now), claims_(TestJwtKey::Claims("spiffe://example.org/w", {"x"}, now)) {
    AddSerializations();
    AddHeaders();
    AddClaims();
  }
  const std::vector<std::pair<std::string, std::string>>& all() const { return tokens_; }

 private:
  void Add(const std::string& token, const std::string& words) {
    tokens_.emplace_back(token, words);
  }
  void Header(const std::string& name, const json& value, const std::string& words) {
    json header = key_.header();
    header[name] = value;
    Add(key_.Token(claims_, header), words);
  }
  void Claim(const std::string& name, const json& value, const std::string& words) {
    json claims = claims_;
    claims[name] = value;
    Add(key_.Token(claims), words);
  }
  void AddSerializations() {
    const std::string good = key_.Token(claims_);
    const std::string unsigned_part = good.substr(0, good.rfind('.'));
    const std::string signature = good.substr(good.rfind('.') + 1);
    for (const std::string& bad :
         {" " + good, good + "\n", good + "=", good + ".e30", good + ".e30.e30", unsigned_part,
          json{{"payload", unsigned_part}, {"signature", signature}}.dump()}) {
      Add(bad, "unable to parse JWT token");
    }
    Add(unsigned_part + ".", "");
  }
  void AddHeaders() {
    for (const char* algorithm : {"none", "HS256", "EdDSA", "es256", ""}) {
      Header("alg", algorithm, "algorithm");
    }
    Header("alg", "ES384", "signature");
    Header("alg", "RS256", "signature");
    Header("crit", {"exp"}, "");
    Header("kid", "", "key id");
    Header("kid", "other", "public key \"other\" not found");
    for (const char* type : {"wit+jwt", "at+jwt", "jwt", ""}) {
      Header("typ", type, "type");
    }
  }
  void AddClaims() {
    for (const json& subject : {json(), json(""), json("w"), json("spiffe://example.org/"),
                                json("https://example.org/w"), json(5)}) {
      Claim("sub", subject, "subject claim");
    }
    Claim("sub", "spiffe://b.test/w", "no keys found for trust domain");
    for (const json& audience : {json(), json::array(), json({"y"}), json("X"), json({"x", 5})}) {
      Claim("aud", audience, "");
    }
    const int64_t now = absl::ToUnixSeconds(now_);
    Claim("exp", json(), "");
    Claim("exp", std::to_string(now + 60), "");
    Claim("exp", now - 62, "token has expired");
    Claim("nbf", now + 65, "token is not valid yet");
    Claim("iat", now + 65, "token is not valid yet");
  }

  const TestJwtKey& key_;
  const absl::Time now_;
  const json claims_;
  std::vector<std::pair<std::string, std::string>> tokens_;
};

TEST_F(JwtMethodsTest, ValidatesNoTokenThatTheStandardRefuses) {
  // JWT-01 JWT-04 JWT-05 JWT-07 JWT-08 JWT-09 JWT-11 JWT-13 WIT-16 WLAPI-39
  const BadTokens bad(own_, server_.clock.Now());
  for (const auto& [token, words] : bad.all()) {
    EXPECT_THAT(Validate(token).status, testing::AllOf(testing::StartsWith("3 "), HasSubstr(words)))
        << token;
  }
  const int64_t now = absl::ToUnixSeconds(server_.clock.Now());
  for (const json& good : {json{{"exp", now - 58}}, json{{"nbf", now + 58}}, json{{"aud", "x"}}}) {
    EXPECT_EQ(Validate(Token(own_, "spiffe://example.org/w", good)).status, "0 ") << good;
  }
}

TEST_F(JwtMethodsTest, AKeyOfAnotherTrustDomainThatTheCallerKnowsIsNotTheSubjects) {
  // JWT-14 WLAPI-37
  const TestJwtKey other("own");  // Of the same key id.
  Federate();
  SetBundle("b.test", {other.authority()});
  EXPECT_EQ(Validate(Token(other, "spiffe://b.test/w")).status, "0 ");
  EXPECT_THAT(Validate(Token(other, "spiffe://example.org/w")).status,
              HasSubstr("3 the signature"));
  EXPECT_THAT(Validate(Token(own_, "spiffe://b.test/w")).status, HasSubstr("3 the signature"));
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

TEST_F(JwtMethodsTest, FieldsThatAreNotKnownAreNotKept) {
  // Field 15 with 60 KiB, of which as many as there are calls would be too much.
  const std::string unknown = "\x7a\x80\xe0\x03" + std::string(60 << 10, 'u');
  JWTSVIDRequest request;
  request.add_audience("x");
  Validate("opaque");  // The server's greeting, and all after it, waits for a first answer.
  std::vector<int32_t> calls;
  for (int i = 0; i < 90; ++i) {
    const int before = gate_.asked;
    calls.push_back(Start("FetchJWTSVID", request.SerializeAsString() + unknown));
    client_->WaitFor([&] { return gate_.asked > before; });
  }
  Tell("a", {"x"}, "token");
  for (const int32_t call : calls) {
    client_->WaitClosed(call);
    ASSERT_THAT(Fetched(call), ElementsAre("a=token"));
  }
}

TEST_F(JwtMethodsTest, WhoHadToWaitIsLookedAtAgainBeforeTheAnswer) {
  const int32_t call = StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("a x"));
  gate_.answer = PermissionDenied("the caller executed another program after it connected");
  Tell("a", {"x"}, "token");
  EXPECT_THAT(StatusOf(call), HasSubstr("7 the caller executed another program"));
}

TEST_F(JwtMethodsTest, WhoHasOtherIdentitiesThenGetsThese) {
  Commit(Entry("b"));
  Commit([] {
    Change change = Entry("c");
    change.mutable_entries(0)->mutable_selectors(0)->set_value("uid:2");
    return change;
  }());
  const int32_t call = StartFetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("a x", "b x"));
  gate_.answer = sets_.Get({{"unix", "uid:2"}});
  Tell("a", {"x"}, "token of a");
  Tell("b", {"x"}, "token of b");
  EXPECT_THAT(Fetched(call), ElementsAre("")) << "it waits for the other identity";
  Tell("c", {"x"}, "token of c");
  EXPECT_THAT(Fetched(call), ElementsAre("c=token of c"));
}

// Calls that come in one round of the loop, each with a token of its own.
class FloodOfTokens final {
 public:
  FloodOfTokens(TestServer& server, const std::vector<std::string>& tokens)
      : client_(ConnectUnix(server.path()), [this, &server] {
          if (!holding_) {
            server.loop().RunOnce(absl::ZeroDuration());
          }
        }) {
    ValidateJWTSVIDRequest request;
    request.set_audience("x");
    for (const std::string& token : tokens) {
      request.set_svid(token);
      calls_.push_back(
          client_.Start("/SpiffeWorkloadAPI/ValidateJWTSVID", request.SerializeAsString()));
    }
    holding_ = false;
  }
  // In one round.
  size_t Answered() {
    client_.Step();
    const auto answered = std::count_if(calls_.begin(), calls_.end(), [this](int32_t call) {
      return client_.stream(call).status() == 0;
    });
    return static_cast<size_t>(answered);
  }

 private:
  bool holding_ = true;
  Http2Client client_;
  std::vector<int32_t> calls_;
};

TEST_F(JwtMethodsTest, AFloodOfTokensIsCheckedByTurns) {
  constexpr size_t kRounds = 6;
  std::vector<std::string> tokens;
  for (size_t i = 0; i < kRounds * CheckTurns::kPerRound; ++i) {
    tokens.push_back(Token(own_, "spiffe://example.org/" + std::to_string(i)));
  }
  gate_.asked = 0;
  FloodOfTokens flood(server_, tokens);
  std::vector<size_t> answered = {0};
  for (int i = 0; i < 30; ++i) {
    answered.push_back(flood.Answered());
    // What is checked at once, and what is checked in its turn, may fall into one round.
    ASSERT_LE(answered.back() - answered[answered.size() - 2], 2 * CheckTurns::kPerRound);
  }
  EXPECT_EQ(answered.back(), tokens.size());
  EXPECT_EQ(static_cast<size_t>(gate_.asked), 2 * tokens.size() - CheckTurns::kPerRound)
      << "who waited for his turn is looked at again";
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
