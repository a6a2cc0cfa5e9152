// SPDX-License-Identifier: GPL-3.0-or-later
#include "spiffe/x509_svid.h"

#include <gtest/gtest.h>

#include <utility>

#include "tests/support/raw_certificate.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_ca.h"

namespace assay {
namespace {

using absl::StatusCode;
using crypto::Certificate;
using testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr std::string_view kWeb = "spiffe://example.org/web";

std::unique_ptr<crypto::PrivateKey> NewKey() {
  return crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value();
}

// The extensions of an X509-SVID as it should be.
std::vector<raw::Extension> GoodExtensions() {
  return {raw::KeyUsage(raw::kSign | raw::kEncipher | raw::kAgree), raw::Purposes({1, 2}),
          raw::BasicConstraints(false), raw::AltNames({raw::Uri(kWeb)})};
}

// A self-signed root and whatever a test wants below it, all with raw extensions.
class Chain {
 public:
  Chain() : root_(Make("root", "root", *root_key_, *root_key_, CaExtensions())) {}

  static std::vector<raw::Extension> CaExtensions() {
    return {raw::KeyUsage(raw::kCertSign | raw::kCrlSign), raw::BasicConstraints(true)};
  }
  static Certificate Make(std::string subject, std::string issuer, const crypto::Signer& key,
                          const crypto::Signer& issuer_key, std::vector<raw::Extension> extensions,
                          absl::Duration age = absl::Hours(1),
                          absl::Duration left = absl::Hours(1)) {
    return Certificate::Parse(raw::Sign({.subject = std::move(subject),
                                         .issuer = std::move(issuer),
                                         .not_before = kNow - age,
                                         .not_after = kNow + left,
                                         .extensions = std::move(extensions)},
                                        key.public_key(), issuer_key))
        .value();
  }
  Certificate Leaf(std::vector<raw::Extension> extensions) const {
    return Make("leaf", "root", *leaf_key_, *root_key_, std::move(extensions));
  }
  TrustBundle Bundle(std::string_view trust_domain = "example.org") const {
    return {.trust_domain = TestDomain(trust_domain),
            .x509_authorities = {{.certificate = root_}},
            .jwt_authorities = {},
            .sequence_number = {},
            .refresh_hint = {}};
  }
  absl::StatusOr<SpiffeId> Verify(const std::vector<Certificate>& chain) const {
    return VerifyX509Svid(chain, Bundle(), kNow);
  }
  const crypto::PrivateKey& root_key() const { return *root_key_; }
  const crypto::PrivateKey& leaf_key() const { return *leaf_key_; }
  const Certificate& root() const { return root_; }

 private:
  std::unique_ptr<crypto::PrivateKey> root_key_ = NewKey();
  std::unique_ptr<crypto::PrivateKey> leaf_key_ = NewKey();
  Certificate root_;
};

// X509-03, X509-05, X509-06, X509-09, X509-11
TEST(X509SvidTest, AcceptsEveryFormThatTheStandardAllows) {
  const Chain chain;
  const raw::Extension alt = raw::AltNames({raw::Uri(kWeb)});
  const std::vector<raw::Extension> kGood[] = {
      GoodExtensions(),
      {raw::KeyUsage(raw::kSign), alt},
      {alt},
      {raw::KeyUsage(raw::kSign), raw::Purposes({1, 2}, true), alt},
      {raw::KeyUsage(raw::kSign),
       raw::AltNames({raw::Dns("a.test"), raw::Uri(kWeb), raw::Der(0x87, "\x7f\x01\x01\x01"),
                      raw::Der(0x81, "a@b.test")})}};
  for (const auto& extensions : kGood) {
    const auto id = chain.Verify({chain.Leaf(extensions)});
    ASSERT_OK(id);
    EXPECT_EQ(id->ToString(), kWeb);
  }
  const Certificate nameless =
      Chain::Make("", "root", chain.leaf_key(), chain.root_key(),
                  {raw::KeyUsage(raw::kSign), raw::AltNames({raw::Uri(kWeb)}, true)});
  EXPECT_OK(chain.Verify({nameless}));
}

// X509-02, X509-04, X509-06, X509-10, X509-20
TEST(X509SvidTest, RefusesALeafThatBreaksOneRule) {
  const Chain chain;
  const raw::Extension usage = raw::KeyUsage(raw::kSign);
  const raw::Extension alt = raw::AltNames({raw::Uri(kWeb)});
  const std::pair<const char*, std::vector<raw::Extension>> kBad[] = {
      {"0 uri names", {usage}},
      {"0 uri names", {usage, raw::AltNames({raw::Dns("a.test")})}},
      {"2 uri names", {usage, raw::AltNames({raw::Uri(kWeb), raw::Uri("spiffe://b.test/x")})}},
      {"2 uri names", {usage, raw::AltNames({raw::Uri(kWeb), raw::Uri("https://x/y")})}},
      {"2 uri names", {usage, raw::AltNames({raw::Uri(kWeb), raw::Uri(kWeb)})}},
      {"spiffe://", {usage, raw::AltNames({raw::Uri("https://example.org/web")})}},
      {"spiffe://", {usage, raw::AltNames({raw::Uri("SPIFFE://example.org/web")})}},
      {"none of", {usage, raw::AltNames({raw::Uri("spiffe://example.org/web#")})}},
      {"no path", {usage, raw::AltNames({raw::Uri("spiffe://example.org")})}},
      {"is a ca", {usage, raw::BasicConstraints(true), alt}},
      {"may sign", {raw::KeyUsage(raw::kSign | raw::kCertSign), alt}},
      {"may sign", {raw::KeyUsage(raw::kSign | raw::kCrlSign), alt}},
      {"digitalSignature", {raw::KeyUsage(raw::kEncipher), alt}}};
  for (const auto& [words, extensions] : kBad) {
    const Certificate leaf = chain.Leaf(extensions);
    EXPECT_THAT(chain.Verify({leaf}), StatusIs(StatusCode::kPermissionDenied, HasSubstr(words)));
    EXPECT_FALSE(ParseLeafId(leaf).ok());
    EXPECT_FALSE(CheckIssuedSvid({leaf}, TestId(kWeb), chain.leaf_key().public_key()).ok());
  }
}

// ID-12
TEST(X509SvidTest, CarriesAnIdOf2048Bytes) {
  const Chain chain;
  std::string id = "spiffe://example.org/";
  id.resize(2048, 'a');
  const auto verified =
      chain.Verify({chain.Leaf({raw::KeyUsage(raw::kSign), raw::AltNames({raw::Uri(id)})})});
  ASSERT_OK(verified);
  EXPECT_EQ(verified->ToString(), id);
}

TEST(X509SvidTest, RefusesAnEmptyChain) {
  EXPECT_FALSE(Chain().Verify({}).ok());
  EXPECT_FALSE(CheckIssuedSvid({}, TestId(kWeb), NewKey()->public_key()).ok());
}

// ID-23, X509-21, TDB-14
TEST(X509SvidTest, RefusesAnIdOfAnotherTrustDomainThanTheBundle) {
  const TestCa ours("example.org", kNow);
  const X509Svid foreign = ours.IssueSvid(TestId("spiffe://b.test/w"));
  EXPECT_THAT(VerifyX509Svid(foreign.chain, ours.Bundle(), kNow),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("not of trust domain")));
}

// TDB-16
TEST(X509SvidTest, ASharedAuthorityAuthenticatesEachIdAsItsOwnTrustDomainOnly) {
  const TestCa shared("example.org", kNow);
  const X509Svid svid = shared.IssueSvid(TestId("spiffe://b.test/x"));
  TrustBundle b = shared.Bundle();
  b.trust_domain = TestDomain("b.test");
  EXPECT_OK(VerifyX509Svid(svid.chain, b, kNow));
  EXPECT_FALSE(VerifyX509Svid(svid.chain, shared.Bundle(), kNow).ok());
}

// ID-23, X509-19
TEST(X509SvidTest, RefusesAChainOfAnUnknownAuthority) {
  const TestCa ours("example.org", kNow), evil("example.org", kNow);
  const X509Svid svid = evil.IssueSvid(TestId(kWeb));
  const auto with_root = std::vector<Certificate>{svid.leaf(), evil.certificate()};
  for (const auto& presented : {svid.chain, with_root}) {
    EXPECT_EQ(Message(VerifyX509Svid(presented, ours.Bundle(), kNow).status()),
              "x509: certificate signed by unknown authority");
  }
}

// X509-28, TDB-11
TEST(X509SvidTest, RefusesEveryChainWhenTheBundleHasNoX509Authority) {
  const TestCa ca("example.org", kNow);
  TrustBundle empty = ca.Bundle();
  empty.x509_authorities.clear();
  EXPECT_FALSE(VerifyX509Svid(ca.IssueSvid(TestId(kWeb)).chain, empty, kNow).ok());
}

// X509-16
TEST(X509SvidTest, RefusesASigningCertificateAsALeaf) {
  const TestCa ca("example.org", kNow);
  EXPECT_FALSE(VerifyX509Svid({ca.certificate()}, ca.Bundle(), kNow).ok());
  const TestCa lower = TestCa::Under(ca);
  EXPECT_FALSE(VerifyX509Svid({lower.certificate()}, ca.Bundle(), kNow).ok());
}

TEST(X509SvidTest, FollowsIntermediates) {
  const TestCa root("example.org", kNow);
  const TestCa lower = TestCa::Under(root);
  const X509Svid svid = lower.IssueSvid(TestId(kWeb));
  ASSERT_EQ(svid.chain.size(), 2u);
  EXPECT_OK(VerifyX509Svid(svid.chain, root.Bundle(), kNow));
  EXPECT_FALSE(VerifyX509Svid({svid.leaf()}, root.Bundle(), kNow).ok());
}

// X509-13, X509-14, X509-15, X509-17, X509-18, X509-19
TEST(X509SvidTest, HoldsIntermediatesToTheRulesOfSigningCertificates) {
  const Chain chain;
  const auto key = NewKey();
  const Certificate leaf = Chain::Make("leaf", "mid", chain.leaf_key(), *key, GoodExtensions());
  const raw::Extension usage = raw::KeyUsage(raw::kCertSign);
  const raw::Extension ca = raw::BasicConstraints(true);
  const auto verify = [&](std::vector<raw::Extension> extensions, absl::Duration age,
                          absl::Duration left) {
    return chain
        .Verify({leaf, Chain::Make("mid", "root", *key, chain.root_key(), std::move(extensions),
                                   age, left)})
        .ok();
  };
  const auto verify_now = [&](std::vector<raw::Extension> extensions) {
    return verify(std::move(extensions), absl::Hours(1), absl::Hours(1));
  };
  EXPECT_TRUE(verify_now({usage, ca}));
  EXPECT_TRUE(verify_now({usage, ca, raw::AltNames({raw::Uri("spiffe://other.test")})}));
  EXPECT_FALSE(verify_now({usage, ca, raw::AltNames({raw::Uri("spiffe://example.org/ca")})}));
  EXPECT_TRUE(verify_now({usage, raw::BasicConstraints(true, 0)}));
  EXPECT_TRUE(verify_now({usage, ca, raw::Purposes({3})}));
  EXPECT_TRUE(verify_now({usage, ca, raw::PermittedHosts({"example.org"})}));
  EXPECT_FALSE(verify_now({usage, ca, raw::PermittedHosts({"b.test"})}));
  EXPECT_FALSE(verify_now({usage, raw::BasicConstraints(false)}));
  EXPECT_FALSE(verify_now({usage}));
  EXPECT_FALSE(verify_now({raw::KeyUsage(raw::kCrlSign), ca}));
  EXPECT_FALSE(verify_now({raw::KeyUsage(raw::kSign), ca}));
  EXPECT_FALSE(verify_now({usage, ca, {raw::kUnheardOf, true, raw::Der(0x05, "")}}));
  EXPECT_TRUE(verify_now({usage, ca, {raw::kUnheardOf, false, raw::Der(0x05, "")}}));
  EXPECT_FALSE(verify({usage, ca}, absl::Hours(2), -absl::Hours(1)));
  EXPECT_FALSE(verify({usage, ca}, -absl::Minutes(5), absl::Hours(1)));
}

// X509-19
TEST(X509SvidTest, RefusesALeafOutsideItsTimeOrWithAnUnknownCriticalExtension) {
  const Chain chain;
  const auto leaf = [&](absl::Duration age, absl::Duration left) {
    return Chain::Make("leaf", "root", chain.leaf_key(), chain.root_key(), GoodExtensions(), age,
                       left);
  };
  EXPECT_THAT(Message(chain.Verify({leaf(absl::Hours(2), -absl::Hours(1))}).status()),
              HasSubstr("expired"));
  EXPECT_FALSE(chain.Verify({leaf(-absl::Hours(1), absl::Hours(2))}).ok());
  auto extensions = GoodExtensions();
  extensions.push_back({raw::kUnheardOf, true, raw::Der(0x05, "")});
  EXPECT_FALSE(chain.Verify({chain.Leaf(extensions)}).ok());
}

TEST(X509SvidTest, AnIssuedSvidThatFollowsTheRulesIsRelayed) {
  const Chain chain;
  const crypto::PublicKey& key = chain.leaf_key().public_key();
  EXPECT_OK(CheckIssuedSvid({chain.Leaf(GoodExtensions())}, TestId(kWeb), key));
  EXPECT_OK(
      CheckIssuedSvid({chain.Leaf({raw::KeyUsage(raw::kSign), raw::AltNames({raw::Uri(kWeb)})})},
                      TestId(kWeb), key));
}

// X509-01, X509-07, X509-08, X509-12, ID-24
TEST(X509SvidTest, AnIssuedSvidThatBreaksARuleIsNotRelayed) {
  const Chain chain;
  const crypto::PublicKey& key = chain.leaf_key().public_key();
  const raw::Extension usage = raw::KeyUsage(raw::kSign);
  const raw::Extension alt = raw::AltNames({raw::Uri(kWeb)});
  const std::vector<raw::Extension> kBad[] = {{alt},
                                              {raw::KeyUsage(raw::kSign, false), alt},
                                              {raw::KeyUsage(raw::kEncipher), alt},
                                              {usage, raw::Purposes({1}), alt},
                                              {usage, raw::Purposes({2, 3}), alt}};
  for (const auto& extensions : kBad) {
    EXPECT_THAT(CheckIssuedSvid({chain.Leaf(extensions)}, TestId(kWeb), key),
                StatusIs(StatusCode::kPermissionDenied, testing::_));
  }
  const std::vector<Certificate> good = {chain.Leaf(GoodExtensions())};
  EXPECT_THAT(CheckIssuedSvid(good, TestId("spiffe://example.org/other"), key),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("wanted")));
  EXPECT_THAT(CheckIssuedSvid(good, TestId(kWeb), NewKey()->public_key()),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("another key")));
}

}  // namespace
}  // namespace assay
