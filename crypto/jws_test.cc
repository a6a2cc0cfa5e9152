// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/jws.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/der_reader.h"
#include "crypto/digest.h"
#include "tests/support/status_matchers.h"

namespace assay::crypto {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using Kind = SignatureScheme::Kind;

std::string Padded(std::string_view number, size_t size) {
  return std::string(size - number.size(), '\0') + std::string(number);
}

std::string Token(const PrivateKey& key, std::string_view header, const SignatureScheme& scheme,
                  std::string_view payload = R"({"sub":"a"})") {
  const std::string text = Base64UrlEncode(header) + "." + Base64UrlEncode(payload);
  std::string signature = Sign(key, scheme, text).value();
  if (scheme.kind == Kind::kEcdsa) {
    DerReader outer(signature);
    DerReader parts = outer.Enter(kDerSequence, "").value();
    const size_t size = (key.public_key().bits() + 7) / 8;
    const std::string r = Padded(parts.ReadUnsigned("").value(), size);
    signature = r + Padded(parts.ReadUnsigned("").value(), size);
  }
  return text + "." + Base64UrlEncode(signature);
}

struct Case {
  KeyType type;
  std::string_view algorithm;
  SignatureScheme scheme;
};
constexpr Case kCases[] = {{KeyType::kEcP256, "ES256", {Kind::kEcdsa, Hash::kSha256}},
                           {KeyType::kEcP384, "ES384", {Kind::kEcdsa, Hash::kSha384}},
                           {KeyType::kRsa2048, "RS256", {Kind::kRsaPkcs1, Hash::kSha256}},
                           {KeyType::kRsa2048, "PS512", {Kind::kRsaPss, Hash::kSha512}}};

TEST(JwsTest, VerifiesWhatTheKeySigned) {
  for (const Case& c : kCases) {
    const auto key = PrivateKey::Generate(c.type).value();
    const auto jws =
        Jws::Parse(Token(*key, fmt::format(R"({{"alg":"{}","kid":"k"}})", c.algorithm), c.scheme));
    ASSERT_OK(jws);
    EXPECT_EQ(jws->key_id(), "k");
    EXPECT_EQ(jws->payload(), R"({"sub":"a"})");
    EXPECT_OK(jws->Verify(key->public_key())) << c.algorithm;
    EXPECT_THAT(jws->Verify(PrivateKey::Generate(c.type).value()->public_key()),
                StatusIs(StatusCode::kPermissionDenied, HasSubstr("signature")));
  }
}

TEST(JwsTest, VerifiesWhatItSigned) {
  for (const Case& c : kCases) {
    const auto key = PrivateKey::Generate(c.type).value();
    const auto token =
        SignJws(*key, c.algorithm, fmt::format(R"({{"alg":"{}","typ":"JWT"}})", c.algorithm), "{}");
    ASSERT_OK(token);
    const auto jws = Jws::Parse(token->Reveal());
    ASSERT_OK(jws);
    EXPECT_EQ(jws->type(), "JWT");
    EXPECT_OK(jws->Verify(key->public_key())) << c.algorithm;
  }
  const auto key = PrivateKey::Generate(KeyType::kEcP256).value();
  EXPECT_EQ(JwsAlgorithmOf(key->public_key()), "ES256");
  for (std::string_view algorithm : {"RS256", "ES384", "none", ""}) {
    EXPECT_THAT(SignJws(*key, algorithm, "{}", "{}"),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("algorithm")));
  }
}

TEST(JwsTest, RefusesAnAlgorithmOfAnotherKindOfKey) {
  const auto key = PrivateKey::Generate(KeyType::kEcP256).value();
  for (std::string_view algorithm : {"RS256", "ES384", "PS256"}) {
    const auto jws = Jws::Parse(
        Token(*key, fmt::format(R"({{"alg":"{}"}})", algorithm), {Kind::kEcdsa, Hash::kSha256}));
    ASSERT_OK(jws);
    EXPECT_THAT(jws->Verify(key->public_key()),
                StatusIs(StatusCode::kPermissionDenied, HasSubstr("of another kind")));
  }
}

TEST(JwsTest, RefusesAnyByteChanged) {
  const auto key = PrivateKey::Generate(KeyType::kEcP256).value();
  const std::string token = Token(*key, R"({"alg":"ES256"})", {Kind::kEcdsa, Hash::kSha256});
  for (size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    const auto jws = Jws::Parse(changed);
    EXPECT_FALSE(jws.ok() && jws->Verify(key->public_key()).ok()) << i;
  }
}

TEST(JwsTest, RefusesWhatIsNoSignedToken) {
  const std::string good = Base64UrlEncode(R"({"alg":"ES256"})");
  const std::pair<std::string, std::string_view> cases[] = {
      {"", "three parts"},
      {good + ".e30", "three parts"},
      {good + ".e30.AA.AA", "three parts"},
      {good + ".e30.A", "base64url"},
      {good + ".e3+0.AA", "base64url"},
      {".e30.AA", "header"},
      {Base64UrlEncode("[]") + ".e30.AA", "header"},
      {Base64UrlEncode(R"({"alg":"none"})") + ".e30.", "algorithm \"none\""},
      {Base64UrlEncode(R"({"alg":"HS256"})") + ".e30.AA", "algorithm \"HS256\""},
      {Base64UrlEncode("{}") + ".e30.AA", "algorithm \"\""},
      {Base64UrlEncode(R"({"alg":"ES256","crit":["b64"]})") + ".e30.AA", "critical"},
      {Base64UrlEncode(R"({"alg":"ES256","crit":null})") + ".e30.AA", "critical"},
      {Base64UrlEncode(R"({"alg":"ES256","kid":5})") + ".e30.AA", "\"kid\" is not a string"},
      {Base64UrlEncode(R"({"alg":"ES256","typ":null})") + ".e30.AA", "\"typ\" is not a string"},
      {std::string(Jws::kMaxBytes + 1, 'a'), "at most"}};
  for (const auto& [token, words] : cases) {
    EXPECT_THAT(Jws::Parse(token), StatusIs(StatusCode::kInvalidArgument, HasSubstr(words)));
  }
}

TEST(JwkSetTest, GivesTheKeysThatMaySign) {
  const PublicKey ec = PrivateKey::Generate(KeyType::kEcP256).value()->public_key();
  const PublicKey rsa = PrivateKey::Generate(KeyType::kRsa2048).value()->public_key();
  const std::string set = fmt::format(
      R"({{"keys":[{{"kty":"EC","crv":"P-256","kid":"e","use":"sig","x":"{}","y":"{}"}},
        {{"kty":"RSA","kid":"r","n":"{}","e":"{}"}},{{"kty":"OKP","crv":"Ed25519","x":"AA"}},
        {{"kty":"RSA","use":"enc"}}]}})",
      Base64UrlEncode(ec.ec_x()), Base64UrlEncode(ec.ec_y()), Base64UrlEncode(rsa.rsa_modulus()),
      Base64UrlEncode(rsa.rsa_exponent()));
  const auto keys = ParseJwkSet(set);
  ASSERT_OK(keys);
  ASSERT_EQ(keys->size(), 2u);
  EXPECT_EQ((*keys)[0].key_id, "e");
  EXPECT_EQ((*keys)[0].key, ec);
  EXPECT_EQ((*keys)[1].key, rsa);
}

TEST(JwkSetTest, RefusesMalformedKeys) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"[]", "not a JSON object"},
      {"{}", "\"keys\" is not an array of objects"},
      {R"({"keys":[1]})", "\"keys\" is not an array of objects"},
      {R"({"keys":[{"kty":"RSA","n":"AA"}]})", "key of the set: member \"e\""},
      {R"({"keys":[{"kty":"RSA","n":"?","e":"AQAB"}]})", "key of the set: member \"n\""},
      {R"({"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]})", "key of the set: "}};
  for (const auto& [bad, words] : cases) {
    EXPECT_THAT(ParseJwkSet(bad), StatusIs(StatusCode::kInvalidArgument, HasSubstr(words))) << bad;
  }
}

}  // namespace
}  // namespace assay::crypto
