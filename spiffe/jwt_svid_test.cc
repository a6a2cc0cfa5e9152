// SPDX-License-Identifier: GPL-3.0-or-later
#include "spiffe/jwt_svid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/support/test_ca.h"
#include "tests/support/test_jwt.h"

namespace assay {
namespace {

using absl::StatusCode;
using crypto::KeyType;
using nlohmann::json;
using testing::_;
using testing::ElementsAre;
using testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
const std::string kId = "spiffe://a.test/w";

TrustBundle BundleOf(const std::vector<JwtAuthority>& authorities,
                     std::string_view trust_domain = "a.test") {
  return {.trust_domain = TestDomain(trust_domain),
          .x509_authorities = {},
          .jwt_authorities = authorities,
          .sequence_number = {},
          .refresh_hint = {}};
}

absl::Status Check(const std::string& token, const TrustBundle& bundle,
                   std::string_view audience = "x") {
  const auto find = [&bundle](const TrustDomain& trust_domain) {
    return trust_domain == bundle.trust_domain ? std::span(bundle.jwt_authorities)
                                               : std::span<const JwtAuthority>();
  };
  ASSIGN_OR_RETURN(const JwtSvid svid, JwtSvid::Parse(token));
  return VerifyJwtSvid(
      svid,
      {.find_authorities = find, .audience = audience, .now = kNow, .check_signature = nullptr});
}

class JwtSvidTest : public testing::Test {
 protected:
  json Claims() const { return TestJwtKey::Claims(kId, {"x"}, kNow); }
  // With one claim or header member set, or removed by a null.
  absl::Status With(std::string_view claim, const json& value, std::string_view audience = "x") {
    json claims = Claims();
    claims.erase(std::string(claim));
    if (!value.is_null()) {
      claims[std::string(claim)] = value;
    }
    return Check(key_.Token(claims), bundle_, audience);
  }
  absl::Status WithHeader(std::string_view name, const json& value) {
    json header = key_.header();
    header[std::string(name)] = value;
    return Check(key_.Token(Claims(), header), bundle_);
  }
  absl::Status WithoutHeader(std::string_view name) {
    json header = key_.header();
    header.erase(std::string(name));
    return Check(key_.Token(Claims(), header), bundle_);
  }

  const TestJwtKey key_;
  const TrustBundle bundle_ = BundleOf({key_.authority()});
};

TEST_F(JwtSvidTest, TellsWhatIsSigned) {
  const auto svid = JwtSvid::Parse(key_.Token(Claims()));
  ASSERT_OK(svid);
  EXPECT_EQ(svid->id().ToString(), kId);
  EXPECT_THAT(svid->audience(), ElementsAre("x"));
  EXPECT_EQ(svid->key_id(), "k");
  EXPECT_EQ(svid->expires_at(), kNow + absl::Minutes(5));
  EXPECT_EQ(json::parse(svid->claims()), Claims());
  EXPECT_OK(Check(key_.Token(Claims()), bundle_));
}

TEST_F(JwtSvidTest, TakesEachAlgorithmOfTheStandard) {
  // JWT-04
  const std::pair<KeyType, std::vector<std::string_view>> cases[] = {
      {KeyType::kEcP256, {"ES256"}},
      {KeyType::kEcP384, {"ES384"}},
      {KeyType::kRsa2048, {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}}};
  for (const auto& [type, algorithms] : cases) {
    const TestJwtKey key("k", type);
    for (std::string_view algorithm : algorithms) {
      json header = key.header();
      header["alg"] = algorithm;
      EXPECT_OK(
          Check(key.Sign(Claims().dump(), header.dump(), algorithm), BundleOf({key.authority()})))
          << algorithm;
    }
  }
}

TEST_F(JwtSvidTest, TakesASignatureByTheLargestCurve) {
  // JWT-04; made by OpenSSL.
  const std::string_view spki =
      "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQA9xFmEod6nFVL7NtwPuwkKnFUBd0xBPy1Y11MlahBTSbXF/K25WUl"
      "sVc5PkoUYynduOUCWgeZhALke59A6SjXR4wAJNYgNHTM3kTdLzDlxL1xG4kgwt8CV3yUNRX10Vez6ym8FiyaUBBG"
      "KjItbsRhTafifLM2YjBPYsr/HcdmEaRKasc=";
  const std::string_view token =
      "eyJhbGciOiJFUzUxMiIsImtpZCI6ImsifQ.eyJhdWQiOiJ4IiwiZXhwIjo0MDAwMDAwMDAwLCJzdWIiOiJzcGlmZ"
      "mU6Ly9hLnRlc3QvdyJ9.Aec8LxJHcnmI8KgKplenljG2pIEYcKqxfq-MsiYVYtZpGPFtvARO45XsJOp6j8cRB2rC"
      "6b5QYDSAcRaUrUfXygPSALssVaV03XZzBGNxMmMCyBy24kKya_kH5FL_6e0c7HR0hJ1KTHPWxQBcgTY8FiKIvQXC"
      "OxrPDm-sSTCJMpJ_W7cz";
  const auto key = crypto::PublicKey::ParseSpki(crypto::Base64Decode(spki).value());
  ASSERT_OK(key);
  EXPECT_OK(Check(std::string(token), BundleOf({{.key_id = "k", .public_key = *key}})));
}

TEST_F(JwtSvidTest, RefusesOtherAlgorithms) {
  // JWT-04
  for (const json& bad : {json("none"), json("None"), json("HS256"), json("EdDSA"), json("ES256K"),
                          json("es256"), json(""), json(5), json(nullptr)}) {
    EXPECT_THAT(WithHeader("alg", bad), StatusIs(StatusCode::kInvalidArgument, _)) << bad;
  }
  EXPECT_THAT(WithoutHeader("alg"), StatusIs(StatusCode::kInvalidArgument, _));
}

TEST_F(JwtSvidTest, RefusesATokenSignedWithThePublicKeyAsASharedSecret) {
  // JWT-04
  json header = key_.header();
  header["alg"] = "HS256";
  const std::string text =
      crypto::Base64UrlEncode(header.dump()) + "." + crypto::Base64UrlEncode(Claims().dump());
  const std::string mac = crypto::Hmac(crypto::Hash::kSha256, key_.key().public_key().spki(), text);
  EXPECT_THAT(Check(text + "." + crypto::Base64UrlEncode(mac), bundle_),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("algorithm")));
}

TEST_F(JwtSvidTest, RefusesAnAlgorithmThatIsNotTheKeys) {
  // JWT-05
  for (std::string_view algorithm : {"ES384", "RS256", "PS256"}) {
    EXPECT_THAT(WithHeader("alg", algorithm),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("signature")));
  }
}

TEST_F(JwtSvidTest, WantsAKeyId) {
  // JWT-06
  EXPECT_THAT(WithoutHeader("kid"), StatusIs(StatusCode::kInvalidArgument, HasSubstr("key id")));
  EXPECT_THAT(WithHeader("kid", ""), StatusIs(StatusCode::kInvalidArgument, _));
  EXPECT_THAT(WithHeader("kid", 5), StatusIs(StatusCode::kInvalidArgument, _));
  EXPECT_THAT(WithHeader("kid", "other"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("\"other\" not found")));
}

TEST_F(JwtSvidTest, ActsOnNoOtherMemberOfTheHeader) {
  // JWT-03
  EXPECT_OK(WithHeader("jku", "https://evil.test/keys"));
  EXPECT_OK(WithHeader("jwk", json::object()));
  EXPECT_THAT(WithHeader("crit", json::array({"exp"})), StatusIs(StatusCode::kInvalidArgument, _));
  EXPECT_THAT(WithHeader("crit", nullptr), StatusIs(StatusCode::kInvalidArgument, _));
}

TEST_F(JwtSvidTest, TakesItsOwnTypesAlone) {
  // JWT-07 WIT-16
  EXPECT_OK(WithoutHeader("typ"));
  EXPECT_OK(WithHeader("typ", "JWT"));
  EXPECT_OK(WithHeader("typ", "JOSE"));
  for (const json& bad :
       {json("jwt"), json(""), json("at+jwt"), json("wit+jwt"), json(5), json(nullptr)}) {
    EXPECT_THAT(WithHeader("typ", bad), StatusIs(StatusCode::kInvalidArgument, _)) << bad;
  }
}

TEST_F(JwtSvidTest, WantsASpiffeIdForSubject) {
  // JWT-08
  for (const json& bad : {json(), json(""), json("a.test/w"), json("spiffe://a.test/"), json(5)}) {
    EXPECT_THAT(With("sub", bad), StatusIs(StatusCode::kInvalidArgument, _)) << bad;
  }
  EXPECT_OK(With("sub", "spiffe://a.test"));
}

TEST_F(JwtSvidTest, WantsItsAudienceAmongThoseOfTheToken) {
  // JWT-09
  for (const json& good : {json("x"), json({"x"}), json({"y", "x"})}) {
    EXPECT_OK(With("aud", good));
  }
  for (const json& bad : {json(), json::array(), json({"X"}), json({"x", 5}), json("xy"), json(5),
                          json::object({{"x", 1}}), json({"y"}), json("")}) {
    EXPECT_THAT(With("aud", bad), StatusIs(StatusCode::kInvalidArgument, _)) << bad;
  }
  EXPECT_THAT(With("aud", {"test"}, "other"),
              StatusIs(StatusCode::kInvalidArgument,
                       "expected audience in [\"other\"] (audience=[\"test\"])"));
}

TEST_F(JwtSvidTest, AnErrorListsFewAudiences) {
  EXPECT_LT(Message(With("aud", std::vector<std::string>(900, std::string(60, 'a')), "b")).size(),
            2000u);
}

TEST_F(JwtSvidTest, RefusesWhatHasExpired) {
  // JWT-11
  const int64_t now = absl::ToUnixSeconds(kNow);
  EXPECT_OK(With("exp", now - 58));
  EXPECT_OK(With("exp", static_cast<double>(now) + 0.5));
  EXPECT_THAT(With("exp", now - 62), StatusIs(StatusCode::kInvalidArgument, "token has expired"));
  for (const json& bad : {json(), json(std::to_string(now + 100)), json::array(), json(true)}) {
    EXPECT_THAT(With("exp", bad), StatusIs(StatusCode::kInvalidArgument, _)) << bad;
  }
}

TEST_F(JwtSvidTest, RefusesWhatIsNotValidYet) {
  // JWT-13
  const int64_t now = absl::ToUnixSeconds(kNow);
  for (std::string_view claim : {"nbf", "iat"}) {
    EXPECT_OK(With(claim, now + 58));
    EXPECT_THAT(With(claim, now + 65), StatusIs(StatusCode::kInvalidArgument, _));
    EXPECT_THAT(With(claim, "soon"), StatusIs(StatusCode::kInvalidArgument, _));
  }
}

TEST_F(JwtSvidTest, TakesTimesOfAnySize) {
  EXPECT_OK(With("exp", INT64_MAX));
  EXPECT_OK(With("nbf", INT64_MIN));
  EXPECT_THAT(With("exp", INT64_MIN), StatusIs(StatusCode::kInvalidArgument, _));
  EXPECT_THAT(With("exp", 1e300), StatusIs(StatusCode::kInvalidArgument, _));
}

TEST_F(JwtSvidTest, LetsOtherClaimsBe) {
  // JWT-12 JWT-15
  EXPECT_OK(With("nested", {{"a", {1, nullptr, {{"b", "c"}}}}}));
  EXPECT_OK(With("jti", "once"));
  EXPECT_OK(With("jti", "once"));
}

TEST_F(JwtSvidTest, RefusesOtherSerializations) {
  // JWT-01 JWT-02 ID-25
  const std::string token = key_.Token(Claims());
  const size_t first = token.find('.'), second = token.find('.', first + 1);
  const std::string header = token.substr(0, first),
                    claims = token.substr(first + 1, second - first - 1),
                    signature = token.substr(second + 1);
  for (const std::string& bad :
       {json{{"protected", header}, {"payload", claims}, {"signature", signature}}.dump(),
        header + "." + claims, token + ".e30", token + ".e30.e30", token + "=", " " + token,
        token + "\n", header + "=." + claims + "." + signature, token.substr(0, second) + ".",
        token.substr(0, second) + ".+/==", std::string("opaque"), std::string()}) {
    EXPECT_FALSE(Check(bad, bundle_).ok()) << bad;
  }
  EXPECT_OK(Check(token, bundle_));
}

TEST_F(JwtSvidTest, RefusesClaimsThatAreNoObject) {
  for (std::string_view bad : {"", "[]", "5", "{", "{\"sub\":\"\xff\"}"}) {
    EXPECT_THAT(Check(key_.Sign(bad, key_.header().dump(), "ES256"), bundle_),
                StatusIs(StatusCode::kInvalidArgument, _))
        << bad;
  }
}

TEST_F(JwtSvidTest, VerifiesByTheKeysOfItsOwnTrustDomainAlone) {
  // JWT-14 JWT-18 ID-23 WLAPI-37
  const TestJwtKey other("k");
  const std::string token = key_.Token(Claims());
  EXPECT_THAT(Check(token, BundleOf({other.authority()})),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("signature")));
  EXPECT_THAT(Check(token, BundleOf({key_.authority()}, "b.test")),
              StatusIs(StatusCode::kInvalidArgument, _));
  EXPECT_THAT(Check(token, BundleOf({})), StatusIs(StatusCode::kInvalidArgument, _));
}

TEST_F(JwtSvidTest, RefusesAnyByteChanged) {
  const std::string token = key_.Token(Claims());
  for (size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(Check(changed, bundle_).ok()) << i;
  }
}

}  // namespace
}  // namespace assay
