// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/certificate_authority.h"

#include <gmock/gmock.h>

#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using Kind = SigningAuthority::Kind;

const TrustDomain kDomain = TrustDomain::Parse("example.org").value();

class CertificateAuthorityTest : public testing::Test {
 protected:
  // Does what is due, and tells it.
  std::vector<std::string> Settle() {
    std::vector<std::string> done;
    while (const auto step = ca_.NextStep(clock_.Now())) {
      std::optional<SigningAuthority> made;
      if (step->action == CertificateAuthority::Action::kPrepare) {
        made = MakeSigningAuthority(step->kind, options_, clock_.Now()).value();
      }
      const auto change = ca_.Plan(*step, made, bundle_);
      ca_.Apply(change);
      bundle_ = change.bundle.value_or(bundle_);
      done.push_back(fmt::format("{} {}", ToString(step->action), ToString(step->kind)));
    }
    return done;
  }

  const AuthorityOptions options_{.trust_domain = kDomain};  // A life of 24 hours.
  FakeClock clock_;
  CertificateAuthority ca_{{Kind::kX509, Kind::kJwt}};
  TrustBundle bundle_{kDomain, {}, {}, {}, {}};
};

TEST_F(CertificateAuthorityTest, StartsWithOneOfEachKind) {
  EXPECT_THAT(Settle(),
              ElementsAre("prepare x509", "activate x509", "prepare jwt", "activate jwt"));
  ASSERT_THAT(bundle_.x509_authorities, SizeIs(1));
  EXPECT_EQ(bundle_.x509_authorities[0].certificate, ca_.Active(Kind::kX509)->certificate);
  ASSERT_THAT(bundle_.jwt_authorities, SizeIs(1));
  EXPECT_EQ(bundle_.jwt_authorities[0].key_id, ca_.Active(Kind::kJwt)->id);
  EXPECT_EQ(bundle_.sequence_number, 2);
}

TEST_F(CertificateAuthorityTest, MakesNoneOfAKindThatIsNotWanted) {
  CertificateAuthority x509_alone{{Kind::kX509}};
  Settle();
  x509_alone.Put(*ca_.Active(Kind::kX509));
  EXPECT_EQ(x509_alone.NextStep(clock_.Now()), std::nullopt);
  x509_alone.Put(*ca_.Active(Kind::kJwt));
  EXPECT_EQ(x509_alone.NextStep(clock_.Now() + absl::Hours(1)), std::nullopt);
}

TEST_F(CertificateAuthorityTest, PublishesTheNextHalfALifeBeforeTheEnd) {
  Settle();
  const std::string first = ca_.Active(Kind::kX509)->id;
  clock_.Advance(absl::Hours(12) - absl::Seconds(1));
  EXPECT_THAT(Settle(), IsEmpty());
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(Settle(), ElementsAre("prepare x509", "prepare jwt"));
  EXPECT_EQ(ca_.Active(Kind::kX509)->id, first);
  EXPECT_THAT(bundle_.x509_authorities, SizeIs(2));
  EXPECT_THAT(bundle_.jwt_authorities, SizeIs(2));
}

TEST_F(CertificateAuthorityTest, SignsWithTheNextASixthOfALifeBeforeTheEnd) {
  Settle();
  const std::string first = ca_.Active(Kind::kX509)->id;
  clock_.Advance(absl::Hours(12));
  Settle();
  clock_.Advance(absl::Hours(8) - absl::Seconds(1));
  EXPECT_THAT(Settle(), IsEmpty());
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(Settle(), ElementsAre("activate x509", "activate jwt"));
  EXPECT_NE(ca_.Active(Kind::kX509)->id, first);
  EXPECT_THAT(bundle_.x509_authorities, SizeIs(2));
}

TEST_F(CertificateAuthorityTest, WithdrawsWhatEndedADayAgo) {
  Settle();
  const auto first = ca_.Active(Kind::kX509)->certificate;
  for (int hours : {12, 8, 4, 23}) {
    clock_.Advance(absl::Hours(hours));
    Settle();
    EXPECT_EQ(bundle_.x509_authorities.front().certificate, first);
  }
  clock_.Advance(absl::Hours(1) + absl::Seconds(1));
  EXPECT_THAT(Settle(), testing::Contains("forget x509"));
  for (const X509Authority& authority : bundle_.x509_authorities) {
    EXPECT_NE(authority.certificate, first);
  }
}

TEST_F(CertificateAuthorityTest, RecoversFromAPauseLongerThanALife) {
  Settle();
  clock_.Advance(absl::Hours(100 * 24));
  Settle();
  EXPECT_GT(ca_.Active(Kind::kX509)->expires_at, clock_.Now());
  EXPECT_GT(ca_.Active(Kind::kJwt)->expires_at, clock_.Now());
  EXPECT_THAT(bundle_.x509_authorities, SizeIs(1));
}

TEST_F(CertificateAuthorityTest, DestroysTheKeyOfWhatNoLongerSigns) {
  Settle();
  clock_.Advance(absl::Hours(12));
  Settle();
  clock_.Advance(absl::Hours(8));
  const auto step = ca_.NextStep(clock_.Now());
  ASSERT_TRUE(step.has_value());
  const auto change = ca_.Plan(*step, std::nullopt, bundle_);
  ASSERT_THAT(change.put, SizeIs(2));
  EXPECT_EQ(change.put[0].stage, SigningAuthority::Stage::kOld);
  EXPECT_EQ(change.put[0].key, nullptr);
  EXPECT_NE(change.put[1].key, nullptr);
}

// ID-21, ID-22, X509-25
TEST_F(CertificateAuthorityTest, MakesASelfSignedRootOfTheTrustDomain) {
  Settle();
  const crypto::Certificate& root = *ca_.Active(Kind::kX509)->certificate;
  EXPECT_THAT(root.uris(), ElementsAre("spiffe://example.org"));
  EXPECT_TRUE(root.is_ca());
  EXPECT_EQ(root.path_length(), std::nullopt);
  EXPECT_EQ(root.key_usage(), crypto::kKeyCertSign | crypto::kCrlSign);
  EXPECT_TRUE(root.key_usage_critical());
  EXPECT_EQ(root.issuer(), root.subject());
  EXPECT_OK(root.VerifySignedBy(root.public_key()));
  EXPECT_EQ(root.not_before(), clock_.Now() - absl::Seconds(10));
  EXPECT_EQ(root.not_after(), clock_.Now() + absl::Hours(24));
}

}  // namespace
}  // namespace assay
