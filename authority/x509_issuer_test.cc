// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/x509_issuer.h"

#include <gmock/gmock.h>

#include "spiffe/x509_svid.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Kind = SigningAuthority::Kind;

const TrustDomain kDomain = TrustDomain::Parse("example.org").value();

class X509IssuerTest : public testing::Test {
 protected:
  absl::StatusOr<crypto::Certificate> Issue(absl::Duration ttl,
                                            std::vector<std::string> dns_names = {}) {
    return IssueX509Svid(
        authority_,
        {.id = id_, .key = key_->public_key(), .ttl = ttl, .dns_names = std::move(dns_names)},
        clock_.Now());
  }

  FakeClock clock_;
  const SigningAuthority authority_ =
      MakeSigningAuthority(Kind::kX509, {.trust_domain = kDomain}, clock_.Now()).value();
  const SpiffeId id_ = SpiffeId::Create(kDomain, "/w").value();
  const std::unique_ptr<crypto::PrivateKey> key_ =
      crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value();
};

// X509-04
TEST_F(X509IssuerTest, MakesAnSvidThatItsBundleVerifies) {
  const auto leaf = Issue(absl::Hours(1));
  ASSERT_OK(leaf);
  const TrustBundle bundle{kDomain, {{.certificate = *authority_.certificate}}, {}, {}, {}};
  EXPECT_EQ(VerifyX509Svid({*leaf}, bundle, clock_.Now()).value(), id_);
  EXPECT_OK(CheckIssuedSvid({*leaf}, id_, key_->public_key()));
  EXPECT_EQ(leaf->SubjectText(), "O=SPIRE,C=US");
  EXPECT_THAT(leaf->dns_names(), IsEmpty());
  EXPECT_EQ(leaf->authority_key_id(), authority_.certificate->subject_key_id());
}

TEST_F(X509IssuerTest, DatesBackTenSeconds) {
  const auto leaf = Issue(absl::Hours(1)).value();
  EXPECT_EQ(leaf.not_before(), clock_.Now() - absl::Seconds(10));
  EXPECT_EQ(leaf.not_after(), clock_.Now() + absl::Hours(1));
}

TEST_F(X509IssuerTest, NeverOutlivesItsAuthority) {
  EXPECT_EQ(Issue(absl::Hours(48)).value().not_after(), authority_.expires_at);
  clock_.Advance(absl::Hours(24));
  EXPECT_THAT(Issue(absl::Hours(1)),
              StatusIs(absl::StatusCode::kUnavailable, "the X.509 CA has expired"));
}

TEST_F(X509IssuerTest, IsNamedByItsFirstDnsName) {
  const auto leaf = Issue(absl::Hours(1), {"b.example", "a.example"}).value();
  EXPECT_THAT(leaf.dns_names(), ElementsAre("b.example", "a.example"));
  EXPECT_EQ(leaf.subject_cn(), "b.example");
}

TEST_F(X509IssuerTest, NumbersEachDifferently) {
  EXPECT_NE(Issue(absl::Hours(1)).value().serial(), Issue(absl::Hours(1)).value().serial());
}

}  // namespace
}  // namespace assay
