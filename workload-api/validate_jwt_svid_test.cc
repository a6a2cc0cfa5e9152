// SPDX-License-Identifier: GPL-3.0-or-later
// What callers are answered that have JWT-SVIDs validated.
#include "workload-api/validate_jwt_svid.h"

#include "tests/support/test_jwt_methods.h"

namespace assay {
namespace {

using nlohmann::json;
using testing::_;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

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
  Federate();
  Change removed;
  removed.add_removed_entries("a");
  Commit(removed);
  EXPECT_EQ(Validate(Token(own_, "spiffe://example.org/w")).status, "0 ");
  EXPECT_THAT(Validate(Token(foreign_, "spiffe://b.test/w")).status,
              HasSubstr("3 no keys found for trust domain \"b.test\""));
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
  // After one more round.
  size_t Ended() {
    client_.Step();
    return Count([](int status) { return status != -1; });
  }
  size_t Answered() {
    return Count([](int status) { return status == 0; });
  }

 private:
  size_t Count(bool (*matches)(int status)) {
    const auto count = std::count_if(calls_.begin(), calls_.end(), [&](int32_t call) {
      return matches(client_.stream(call).status());
    });
    return static_cast<size_t>(count);
  }

  bool holding_ = true;
  Http2Client client_;
  std::vector<int32_t> calls_;
};

TEST_F(JwtMethodsTest, AFloodOfTokensIsCheckedByTurns) {
  constexpr size_t kRounds = 6;
  std::vector<std::string> tokens;
  for (size_t i = 0; i < kRounds * ValidateJwtSvid::kCostPerRound; ++i) {
    tokens.push_back(Token(own_, "spiffe://example.org/" + std::to_string(i)));
  }
  gate_.asked = 0;
  FloodOfTokens flood(server_, tokens);
  std::vector<size_t> answered = {0};
  for (int i = 0; i < 30; ++i) {
    answered.push_back(flood.Ended());
    // What is checked at once, and what is checked in its turn, may fall into one round.
    ASSERT_LE(answered.back() - answered[answered.size() - 2], 2 * ValidateJwtSvid::kCostPerRound);
  }
  EXPECT_EQ(flood.Answered(), tokens.size());
  EXPECT_EQ(static_cast<size_t>(gate_.asked), 2 * tokens.size() - ValidateJwtSvid::kCostPerRound)
      << "who waited for his turn is looked at again";
}

TEST_F(JwtMethodsTest, TokensOfUnknownKeysAreReadByTurnsToo) {
  const TestJwtKey unknown("unknown");
  FloodOfTokens flood(server_,
                      std::vector<std::string>(60, Token(unknown, "spiffe://example.org/w")));
  size_t ended = 0;
  for (int i = 0; i < 30; ++i) {
    const size_t before = std::exchange(ended, flood.Ended());
    ASSERT_LE(ended - before, 2 * ValidateJwtSvid::kCostPerRound);
  }
  EXPECT_EQ(ended, 60u);
}

TEST_F(JwtMethodsTest, LargeTokensThatNobodySignedAreReadByTurnsToo) {
  const TestJwtKey forged("unknown");
  const std::string token =
      Token(forged, "spiffe://example.org/w", {{"more", std::string(11 << 10, 'm')}});
  const size_t cost = 1 + token.size() / (4 << 10);
  ASSERT_EQ(cost, 4u);
  Tell("a", {"x"}, "token");
  FloodOfTokens flood(server_, std::vector<std::string>(60, token));
  size_t ended = 0;
  for (int i = 0; i < 5; ++i) {
    const size_t before = std::exchange(ended, flood.Ended());
    EXPECT_LE((ended - before) * cost, 2 * ValidateJwtSvid::kCostPerRound);
  }
  EXPECT_THAT(Fetched(StartFetch({"x"})), ElementsAre("a=token"));
  EXPECT_LT(flood.Ended(), 60u) << "others are answered meanwhile";
  for (int i = 0; i < 60; ++i) {
    ended = flood.Ended();
  }
  EXPECT_EQ(ended, 60u);
  EXPECT_EQ(flood.Answered(), 0u);
}

TEST_F(JwtMethodsTest, WhatWasValidIsHeldToTheBundlesOfNow) {
  const std::string small = Token(own_, "spiffe://example.org/w");
  const std::string large =
      Token(own_, "spiffe://example.org/w", {{"more", std::string(8 << 10, 'm')}});
  const TestJwtKey other("own");
  for (const std::string& token : {small, large}) {
    SetBundle("example.org", {own_.authority()});
    EXPECT_EQ(Validate(token).status, "0 ");
    EXPECT_EQ(Validate(token).status, "0 ");
    SetBundle("example.org", {other.authority()});
    EXPECT_THAT(Validate(token).status, HasSubstr("3 the signature of the token"));
    SetBundle("example.org", {});
    EXPECT_THAT(Validate(token).status, HasSubstr("3 no keys found"));
  }
}

TEST_F(JwtMethodsTest, ATaintedAuthorityCountsUntilItIsRevoked) {
  const std::string token = Token(own_, "spiffe://example.org/w");
  Change tainted;
  AddBundle(tainted, "example.org", {own_.authority()});
  tainted.mutable_bundles(0)->mutable_jwt_authorities(0)->set_tainted(true);
  Commit(tainted);
  EXPECT_EQ(Validate(token).status, "0 ");
  SetBundle("example.org", {foreign_.authority()});
  EXPECT_THAT(Validate(token).status, HasSubstr("3 public key \"own\" not found"));
}

}  // namespace
}  // namespace assay
