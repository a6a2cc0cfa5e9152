// SPDX-License-Identifier: GPL-3.0-or-later
#include "spiffe/trust_bundle.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "crypto/pem.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_ca.h"

namespace assay {
namespace {

using absl::StatusCode;
using nlohmann::json;
using testing::HasSubstr;

const TestCa& Ca() {
  static const TestCa ca;
  return ca;
}

JwtAuthority NewJwtAuthority(std::string key_id, crypto::KeyType type) {
  return {.key_id = std::move(key_id),
          .public_key = crypto::PrivateKey::Generate(type).value()->public_key()};
}

TrustBundle FullBundle() {
  TrustBundle bundle = Ca().Bundle();
  bundle.x509_authorities.push_back({.certificate = TestCa().certificate()});
  bundle.jwt_authorities = {NewJwtAuthority("ec", crypto::KeyType::kEcP256),
                            NewJwtAuthority("ec384", crypto::KeyType::kEcP384),
                            NewJwtAuthority("rsa", crypto::KeyType::kRsa2048)};
  bundle.sequence_number = 7;
  bundle.refresh_hint = absl::Seconds(300);
  return bundle;
}

// A document with one good key of each use.
json GoodDocument() {
  TrustBundle bundle = Ca().Bundle();
  bundle.jwt_authorities = {NewJwtAuthority("k", crypto::KeyType::kEcP256)};
  return json::parse(ToBundleDocument(bundle));
}

absl::StatusOr<TrustBundle> Parse(std::string_view text) {
  return ParseBundleDocument(TestDomain(), text);
}
absl::StatusOr<TrustBundle> ParseDom(const json& document) { return Parse(document.dump()); }

// Whether a document of the good keys and this one has the good keys alone.
void ExpectIgnored(const json& entry) {
  json document = GoodDocument();
  document["keys"].push_back(entry);
  const auto bundle = ParseDom(document);
  ASSERT_OK(bundle) << entry;
  EXPECT_EQ(bundle->x509_authorities.size(), 1u) << entry;
  EXPECT_EQ(bundle->jwt_authorities.size(), 1u) << entry;
}

TEST(TrustBundleTest, ADocumentReadsBackAsTheBundleItWasMadeOf) {
  const TrustBundle bundle = FullBundle();
  const auto read = Parse(ToBundleDocument(bundle));
  ASSERT_OK(read);
  EXPECT_EQ(*read, bundle);
}

// X509-22, X509-23, X509-24, X509-25, JWT-17, TDB-10, TDB-12
TEST(TrustBundleTest, PublishesOneBareKeyForEachAuthority) {
  const json document = json::parse(ToBundleDocument(FullBundle()));
  ASSERT_EQ(document["keys"].size(), 5u);
  for (const json& jwk : document["keys"]) {
    std::set<std::string> names;
    for (const auto& [name, value] : jwk.items()) {
      names.insert(name);
    }
    std::set<std::string> wanted = jwk["kty"] == "RSA"
                                       ? std::set<std::string>{"kty", "use", "n", "e"}
                                       : std::set<std::string>{"kty", "use", "crv", "x", "y"};
    wanted.insert(jwk["use"] == "x509-svid" ? "x5c" : "kid");
    EXPECT_EQ(names, wanted) << jwk;
  }
  const json& first = document["keys"][0];
  ASSERT_EQ(first["x5c"].size(), 1u);
  EXPECT_EQ(crypto::Base64Decode(first["x5c"][0].get<std::string>()).value(),
            Ca().certificate().der());
  EXPECT_EQ(crypto::Base64UrlDecode(first["x"].get<std::string>()).value(),
            Ca().certificate().public_key().ec_x());
}

// WLAPI-35, WLAPI-36
TEST(TrustBundleTest, TheJwtDocumentHasTheJwtKeysAlone) {
  const json document = json::parse(ToJwtBundleDocument(FullBundle()));
  EXPECT_EQ(document.size(), 1u);
  ASSERT_EQ(document["keys"].size(), 3u);
  for (const json& jwk : document["keys"]) {
    EXPECT_TRUE(jwk.contains("kid"));
    EXPECT_FALSE(jwk.contains("x5c"));
    EXPECT_FALSE(jwk.contains("use"));
  }
  EXPECT_EQ(ToJwtBundleDocument(Ca().Bundle()), R"({"keys":[]})");
}

// TDB-01
TEST(TrustBundleTest, RefusesADocumentWithoutAKeysArray) {
  for (const char* text :
       {"{}", "null", R"({"keys":null})", R"({"spiffe_sequence":1})", R"({"keys":{}})", "[]", "",
        "{\"keys\":[]", "{\"keys\":[]} x", "\"keys\"", R"({"keys":[5]})"}) {
    EXPECT_THAT(Parse(text), StatusIs(StatusCode::kInvalidArgument,
                                      HasSubstr("bundle document of example.org: ")))
        << text;
  }
}

// TDB-11, X509-28, JWT-18
TEST(TrustBundleTest, AnEmptyKeysArrayIsABundleWithoutAuthorities) {
  const auto bundle = Parse(R"({"keys":[]})");
  ASSERT_OK(bundle);
  EXPECT_TRUE(bundle->x509_authorities.empty());
  EXPECT_TRUE(bundle->jwt_authorities.empty());
  EXPECT_EQ(ToBundleDocument(*bundle), R"({"keys":[]})");
}

// TDB-02, TDB-12
TEST(TrustBundleTest, ToleratesMembersItDoesNotKnow) {
  json document = GoodDocument();
  document["foo"] = 1;
  document["keys"][0]["alg"] = "ES256";
  document["keys"][1]["key_ops"] = {"verify"};
  const auto bundle = ParseDom(document);
  ASSERT_OK(bundle);
  EXPECT_EQ(bundle->x509_authorities.size(), 1u);
  EXPECT_EQ(bundle->jwt_authorities.size(), 1u);
  EXPECT_FALSE(bundle->sequence_number.has_value());
  EXPECT_FALSE(bundle->refresh_hint.has_value());
}

// TDB-18
TEST(TrustBundleTest, RefusesAnObjectThatNamesAMemberTwice) {
  EXPECT_THAT(Parse(R"({"keys":[],"keys":[]})"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("appears twice")));
  EXPECT_FALSE(Parse(R"({"keys":[{"kty":"EC","kty":"RSA"}]})").ok());
  EXPECT_OK(Parse(R"({"keys":[],"a":{"keys":1}})"));
}

TEST(TrustBundleTest, RefusesDeepAndHugeDocuments) {
  EXPECT_THAT(Parse(std::string(100'000, '[')),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("deeper")));
  EXPECT_THAT(Parse(R"({"keys":[],"a":")" + std::string(5 << 20, 'a') + "\"}"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("at most")));
}

// TDB-04
TEST(TrustBundleTest, TheSequenceIsAnUnsigned64BitInteger) {
  const auto sequence = [](std::string_view number) {
    return Parse(fmt::format(R"({{"keys":[],"spiffe_sequence":{}}})", number));
  };
  EXPECT_EQ(sequence("9223372036854775807")->sequence_number, 9223372036854775807u);
  EXPECT_EQ(sequence("9223372036854775809")->sequence_number, 9223372036854775809u);
  EXPECT_EQ(sequence("0")->sequence_number, 0u);
  for (const char* bad : {"-1", "1.5", "\"1\"", "null", "18446744073709551616", "1e3"}) {
    EXPECT_THAT(sequence(bad), StatusIs(StatusCode::kInvalidArgument, HasSubstr("spiffe_sequence")))
        << bad;
  }
}

// TDB-05
TEST(TrustBundleTest, TheRefreshHintIsWholeSeconds) {
  const auto hint = [](std::string_view number) {
    return Parse(fmt::format(R"({{"keys":[],"spiffe_refresh_hint":{}}})", number));
  };
  EXPECT_EQ(hint("300")->refresh_hint, absl::Seconds(300));
  EXPECT_EQ(hint("-5")->refresh_hint, absl::Seconds(-5));
  EXPECT_EQ(hint("9223372036854775808")->refresh_hint, absl::InfiniteDuration());
  for (const char* bad : {"1.5", "\"300\"", "null"}) {
    EXPECT_THAT(hint(bad), StatusIs(StatusCode::kInvalidArgument, HasSubstr("spiffe_refresh_hint")))
        << bad;
  }
}

// TDB-08, TDB-09
TEST(TrustBundleTest, IgnoresEntriesOfAKindItDoesNotKnow) {
  const json good = GoodDocument()["keys"][1];
  for (const char* member : {"kty", "use", "crv"}) {
    json entry = good;
    entry["kid"] = "other";
    entry[member] = "unheard-of";
    ExpectIgnored(entry);
    entry.erase(member);
    ExpectIgnored(entry);
    entry[member] = 5;
    ExpectIgnored(entry);
  }
  ExpectIgnored({{"kty", "AKP"}, {"use", "jwt-svid"}, {"kid", "q"}});
  ExpectIgnored({{"kty", "oct"}, {"use", "jwt-svid"}, {"kid", "q"}, {"k", "AAAA"}});
  json upper = good;
  upper["use"] = "JWT-SVID";
  ExpectIgnored(upper);
  ExpectIgnored(json::object());
}

// X509-26
TEST(TrustBundleTest, IgnoresAnX509EntryWithoutACertificate) {
  json entry = GoodDocument()["keys"][0];
  entry["x5c"] = json::array();
  ExpectIgnored(entry);
  entry.erase("x5c");
  ExpectIgnored(entry);
}

// X509-27
TEST(TrustBundleTest, ReadsTheFirstCertificateOfAnEntryAlone) {
  json document = GoodDocument();
  document["keys"][0]["x5c"].push_back(
      crypto::Base64Encode(TestCa("example.org").certificate().der()));
  const auto bundle = ParseDom(document);
  ASSERT_OK(bundle);
  ASSERT_EQ(bundle->x509_authorities.size(), 1u);
  EXPECT_EQ(bundle->x509_authorities[0].certificate, Ca().certificate());
}

// X509-24
TEST(TrustBundleTest, RefusesAnX509EntryThatIsDamaged) {
  const auto with = [](const char* member, json value) {
    json document = GoodDocument();
    document["keys"][0][member] = std::move(value);
    return ParseDom(document);
  };
  EXPECT_FALSE(with("x5c", {"!"}).ok());
  EXPECT_FALSE(with("x5c", json::array({5})).ok());
  EXPECT_FALSE(with("x5c", {crypto::Base64UrlEncode(Ca().certificate().der())}).ok());
  EXPECT_FALSE(with("x5c", {crypto::Base64Encode(Ca().certificate().der() + "x")}).ok());
  EXPECT_THAT(with("x5c", {crypto::Base64Encode(TestCa().certificate().der())}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("keys[0]: key is not that")));
  EXPECT_FALSE(with("x", "AAAA").ok());
}

// JWT-17
TEST(TrustBundleTest, IgnoresAJwtKeyWithoutAnIdentifierOrWithOneAlreadyTaken) {
  json entry = GoodDocument()["keys"][1];
  ExpectIgnored(entry);
  entry.erase("kid");
  ExpectIgnored(entry);
  entry["kid"] = "";
  ExpectIgnored(entry);
}

// JWT-04
TEST(TrustBundleTest, ReadsKeysOfEveryCurveThatJwtSvidsAreSignedBy) {
  const json p521 = {
      {"kty", "EC"},
      {"crv", "P-521"},
      {"use", "jwt-svid"},
      {"kid", "p521"},
      {"x",
       "ASPKkpvCa76pGvYMtiEBnZlNjhtj56DhFjxGUmvUsxtNhgIi-eEzUyyLOh5rs82Lk1E5Ll6dkveP5OFlk-sh2hr_"},
      {"y",
       "AFHsUY_oeX86t36588zUFIMQlmbZo6ndQClEfui4ud3eoT9Qan9jNokZ45OKVfuKFvSMv8WnKAxIO7FTW4jqxxCY"}};
  const auto bundle = ParseDom({{"keys", {p521}}});
  ASSERT_OK(bundle);
  ASSERT_EQ(bundle->jwt_authorities.size(), 1u);
  EXPECT_EQ(bundle->jwt_authorities[0].public_key.bits(), 521u);
  EXPECT_EQ(json::parse(ToBundleDocument(*bundle))["keys"][0], p521);
}

TEST(TrustBundleTest, RefusesAJwtKeyThatIsDamaged) {
  const auto with = [](const char* member, json value) {
    json document = GoodDocument();
    document["keys"][1][member] = std::move(value);
    return ParseDom(document);
  };
  EXPECT_FALSE(with("x", "AAAA").ok());
  EXPECT_FALSE(with("x", "=").ok());
  EXPECT_FALSE(with("y", nullptr).ok());
  EXPECT_FALSE(with("crv", "P-384").ok());
}

TEST(TrustBundleTest, ReadsEveryCertificateOfAPem) {
  const TestCa other;
  const auto bundle =
      ParsePemBundle(TestDomain(), crypto::PemEncode("CERTIFICATE", Ca().certificate().der()) +
                                       crypto::PemEncode("CERTIFICATE", other.certificate().der()));
  ASSERT_OK(bundle);
  EXPECT_EQ(bundle->X509Der(), Ca().certificate().der() + other.certificate().der());
  EXPECT_EQ(bundle->Roots().size(), 2u);
  EXPECT_FALSE(ParsePemBundle(TestDomain(), "no pem").ok());
}

}  // namespace
}  // namespace assay
