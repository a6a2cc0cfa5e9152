// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/jwt_issuer.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using Kind = SigningAuthority::Kind;
using nlohmann::json;

const TrustDomain kDomain = TrustDomain::Parse("example.org").value();

struct Jwt {
  json header, claims;
  std::string signed_part, signature;
};

Jwt Split(const Secret& secret) {
  const std::string token(secret.Reveal());
  const size_t first = token.find('.'), second = token.rfind('.');
  return {json::parse(crypto::Base64UrlDecode(token.substr(0, first)).value()),
          json::parse(crypto::Base64UrlDecode(token.substr(first + 1, second - first - 1)).value()),
          token.substr(0, second), crypto::Base64UrlDecode(token.substr(second + 1)).value()};
}

class JwtIssuerTest : public testing::Test {
 protected:
  SigningAuthority Make(crypto::KeyType type) {
    return MakeSigningAuthority(Kind::kJwt, {.trust_domain = kDomain, .ca_key_type = type},
                                clock_.Now())
        .value();
  }
  JwtSvidRequest Request() const {
    return {.id = SpiffeId::Create(kDomain, "/w").value(),
            .audience = {"a", "", "b"},
            .ttl = absl::Minutes(5),
            .issuer = ""};
  }

  FakeClock clock_;
};

// JWT-03
TEST_F(JwtIssuerTest, SaysWhatTheStandardWantsAndNoMore) {
  const SigningAuthority authority = Make(crypto::KeyType::kEcP256);
  const auto issued = IssueJwtSvid(authority, Request(), clock_.Now());
  ASSERT_OK(issued);
  const Jwt jwt = Split(issued->token);
  EXPECT_EQ(jwt.header, json({{"alg", "ES256"}, {"kid", authority.id}, {"typ", "JWT"}}));
  const int64_t now = absl::ToUnixSeconds(clock_.Now());
  EXPECT_EQ(jwt.claims, json({{"aud", {"a", "b"}},
                              {"exp", now + 300},
                              {"iat", now},
                              {"sub", "spiffe://example.org/w"}}));
  EXPECT_EQ(issued->issued_at, now);
  EXPECT_EQ(issued->expires_at, now + 300);
}

TEST_F(JwtIssuerTest, SignsRawIntegersForEllipticCurves) {
  const SigningAuthority authority = Make(crypto::KeyType::kEcP256);
  // Many, for one integer in 256 is shorter than the curve.
  for (int i = 0; i < 600; ++i) {
    const Jwt jwt = Split(IssueJwtSvid(authority, Request(), clock_.Now())->token);
    ASSERT_EQ(jwt.signature.size(), 64);
  }
}

TEST_F(JwtIssuerTest, SignsWithRsaToo) {
  const SigningAuthority authority = Make(crypto::KeyType::kRsa2048);
  const Jwt jwt = Split(IssueJwtSvid(authority, Request(), clock_.Now())->token);
  EXPECT_EQ(jwt.header["alg"], "RS256");
  EXPECT_OK(authority.public_key.Verify(authority.public_key.DefaultScheme(), jwt.signed_part,
                                        jwt.signature));
}

TEST_F(JwtIssuerTest, NeverOutlivesItsKey) {
  const SigningAuthority authority = Make(crypto::KeyType::kEcP256);
  clock_.Advance(absl::Hours(24) - absl::Seconds(30));
  const auto issued = IssueJwtSvid(authority, Request(), clock_.Now());
  EXPECT_EQ(issued->expires_at, absl::ToUnixSeconds(authority.expires_at));
  clock_.Advance(absl::Seconds(30));
  EXPECT_THAT(IssueJwtSvid(authority, Request(), clock_.Now()),
              StatusIs(absl::StatusCode::kUnavailable, "the JWT key has expired"));
}

TEST_F(JwtIssuerTest, AddsIssuerAndUniqueIdWhenAsked) {
  const SigningAuthority authority = Make(crypto::KeyType::kEcP256);
  JwtSvidRequest request = Request();
  request.issuer = "https://issuer.example";
  request.include_jti = true;
  const json first = Split(IssueJwtSvid(authority, request, clock_.Now())->token).claims;
  const json second = Split(IssueJwtSvid(authority, request, clock_.Now())->token).claims;
  EXPECT_EQ(first["iss"], "https://issuer.example");
  EXPECT_NE(first["jti"], second["jti"]);
}

TEST_F(JwtIssuerTest, RefusesToSignForNobody) {
  const SigningAuthority authority = Make(crypto::KeyType::kEcP256);
  JwtSvidRequest request = Request();
  for (const std::vector<std::string>& audience : {std::vector<std::string>{}, {""}}) {
    request.audience = audience;
    EXPECT_THAT(IssueJwtSvid(authority, request, clock_.Now()),
                StatusIs(absl::StatusCode::kInvalidArgument, "at least one audience is required"));
  }
}

}  // namespace
}  // namespace assay
