// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/path_validation.h"

#include <gtest/gtest.h>

#include "crypto/der_writer.h"
#include "crypto/digest.h"
#include "crypto/pem.h"
#include "tests/support/fake_ca.h"
#include "tests/support/openssl_command.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay::crypto {
namespace {

using absl::StatusCode;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Template = CertificateTemplate;
using Extensions = std::vector<Extension>;
using Certificates = std::vector<Certificate>;

constexpr std::string_view kLeafUri = "spiffe://example.org/a";
constexpr char kUnknown[] = "x509: certificate signed by unknown authority";
constexpr char kExpired[] = "x509: certificate has expired or is not yet valid";

const absl::Time kNow = FakeClock().Now();

FakeChanges Valid(absl::Time from, absl::Time to) {
  return {.change = [from, to](Template& what) {
    what.not_before = from;
    what.not_after = to;
  }};
}
FakeChanges Expired() { return Valid(kNow - absl::Hours(2), kNow - absl::Seconds(1)); }
FakeChanges NotYetValid() { return Valid(kNow + absl::Seconds(1), kNow + absl::Hours(2)); }

FakeChanges With(Extension extension) {
  return {.change_extensions = [extension](Extensions& extensions) {
    SetExtension(extensions, extension);
  }};
}
FakeChanges Without(std::string_view oid) {
  return {.change_extensions = [oid](Extensions& extensions) { RemoveExtension(extensions, oid); }};
}
FakeChanges WithKeyUsage(unsigned usage) {
  return {.change = [usage](Template& what) { what.key_usage = usage; }};
}
FakeChanges WithPathLength(int length) {
  return With({std::string(kOidBasicConstraints), true, WriteBasicConstraints({true, length})});
}
FakeChanges NotCa() {
  return {.change = [](Template& what) { what.is_ca = false; }};
}
FakeChanges SameName(const FakeCa& as) {
  // The template's attributes are in the certificate: C, O and the serial number of the name.
  const std::vector<NameAttribute> name = ParseName(as.certificate().subject()).value();
  return {.change = [name](Template& what) { what.subject = ToDistinguishedName(name); }};
}

// Permitted and excluded hosts of URIs.
FakeChanges Constrain(const std::vector<std::string>& permitted,
                      const std::vector<std::string>& excluded, uint8_t name_tag = DerContext(6)) {
  std::string lists;
  for (const auto& [number, hosts] : {std::pair(0u, permitted), std::pair(1u, excluded)}) {
    std::string subtrees;
    for (const std::string& host : hosts) {
      subtrees += DerSequence({DerWrap(name_tag, host)});
    }
    lists += hosts.empty() ? "" : DerWrap(DerContextConstructed(number), subtrees);
  }
  return With({std::string(kOidNameConstraints), true, DerWrap(kDerSequence, lists)});
}

absl::Status Verify(const Certificate& leaf, const Certificates& intermediates,
                    const Certificates& anchors) {
  return VerifyPath(leaf, intermediates, anchors, {.now = kNow, .tolerated_critical = {}});
}
// The leaf with the rest of its chain.
absl::Status Verify(const FakeIdentity& leaf, const FakeCa& root) {
  return Verify(leaf.certificate, {leaf.chain.begin() + 1, leaf.chain.end()}, {root.certificate()});
}

testing::Matcher<absl::Status> Denied(std::string_view words) {
  return StatusIs(StatusCode::kPermissionDenied, HasSubstr(std::string(words)));
}

const FakeCa& Root() {
  static const FakeCa root = FakeCa::Root();
  return root;
}
// Says the same names as Root, with another key.
const FakeCa& EvilRoot() {
  static const FakeCa root = FakeCa::Root("example.org", kNow, SameName(Root()));
  return root;
}

// X509-19: every certificate of the path, the anchor included, must be valid now.
TEST(PathValidationTest, AcceptsPathsOverUpToEightIntermediates) {
  FakeCa ca = Root();
  for (int below = 0; below <= 9; ++below) {
    const absl::Status status = Verify(ca.Leaf(kLeafUri), Root());
    EXPECT_EQ(status.ok(), below <= 8) << below << " " << status;
    ca = ca.Intermediate();
  }
}

TEST(PathValidationTest, FindsThePathWhateverTheOrderAndWhateverElseIsThere) {
  const FakeCa one = Root().Intermediate(), two = one.Intermediate();
  const FakeCa unrelated = FakeCa::Root("other.example");
  const Certificate leaf = two.Leaf(kLeafUri).certificate;
  const Certificates shuffled = {unrelated.certificate(),
                                 one.certificate(),
                                 leaf,
                                 Root().certificate(),
                                 unrelated.Intermediate().certificate(),
                                 two.certificate(),
                                 two.certificate()};
  EXPECT_OK(Verify(leaf, shuffled, {unrelated.certificate(), Root().certificate()}));
}

TEST(PathValidationTest, AcceptsAnIntermediateAsAnchor) {
  const FakeCa one = Root().Intermediate(), two = one.Intermediate();
  const FakeIdentity leaf = two.Leaf(kLeafUri);
  EXPECT_OK(Verify(leaf.certificate, {two.certificate()}, {one.certificate()}));
  EXPECT_OK(Verify(leaf.certificate, {}, {two.certificate()}));
}

TEST(PathValidationTest, KeysOfEveryTypeCertify) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048}) {
    const FakeCa root = FakeCa::Root("example.org", kNow, {.key_type = type});
    EXPECT_OK(Verify(root.Intermediate().Leaf(kLeafUri), root));
    EXPECT_THAT(Verify(root.Leaf(kLeafUri), Root()), Denied(kUnknown));
  }
}

// X509-21
TEST(PathValidationTest, RefusesWithoutTheRightAnchor) {
  const FakeIdentity leaf = Root().Intermediate().Leaf(kLeafUri);
  const Certificates rest = {leaf.chain[1]};
  EXPECT_THAT(Verify(leaf.certificate, rest, {}), Denied(kUnknown));
  EXPECT_THAT(Verify(leaf.certificate, rest, {FakeCa::Root().certificate()}), Denied(kUnknown));
  EXPECT_THAT(Verify(leaf.certificate, {}, {Root().certificate()}), Denied(kUnknown));
  // What the peer sends is never trusted, be it the true root.
  EXPECT_THAT(Verify(leaf.certificate, {leaf.chain[1], Root().certificate()}, {}),
              Denied(kUnknown));
}

TEST(PathValidationTest, NeverTrustsASelfSignedIntermediate) {
  const FakeCa evil = FakeCa::Root();
  const FakeIdentity leaf = evil.Intermediate().Leaf(kLeafUri);
  for (const Certificates& sent :
       {Certificates{evil.certificate()}, {leaf.chain[1], evil.certificate()}, {leaf.chain[1]}}) {
    EXPECT_THAT(Verify(leaf.certificate, sent, {Root().certificate()}), Denied(kUnknown));
    EXPECT_THAT(Verify(leaf.certificate, sent, {}), Denied(kUnknown));
  }
}

TEST(PathValidationTest, AnEvilCertificateOfTheRightNameIsNoIssuer) {
  const FakeIdentity forged = EvilRoot().Leaf(kLeafUri);
  EXPECT_THAT(Verify(forged, Root()), Denied(kUnknown));
  EXPECT_THAT(Verify(forged, Root()), Denied("the signature is not of this key"));
  EXPECT_THAT(Verify(forged.certificate, {EvilRoot().certificate()}, {Root().certificate()}),
              Denied(kUnknown));
  // It does not stand in the way of the true path either.
  const FakeCa middle = Root().Intermediate();
  const FakeCa evil_middle = EvilRoot().Intermediate(SameName(middle));
  EXPECT_OK(Verify(middle.Leaf(kLeafUri).certificate,
                   {EvilRoot().certificate(), evil_middle.certificate(), middle.certificate()},
                   {EvilRoot().certificate(), Root().certificate()}));
}

TEST(PathValidationTest, RefusesASignatureThatWasChanged) {
  std::string der = Root().Leaf(kLeafUri).certificate.der();
  der.replace(der.find("example.org/a"), 13, "example.org/b");
  EXPECT_THAT(Verify(Certificate::Parse(der).value(), {}, {Root().certificate()}),
              Denied(kUnknown));
}

TEST(PathValidationTest, RefusesLeavesOutOfTheirTime) {
  EXPECT_THAT(Verify(Root().Leaf(kLeafUri, Expired()), Root()), Denied(kExpired));
  EXPECT_THAT(Verify(Root().Leaf(kLeafUri, NotYetValid()), Root()), Denied(kExpired));
  EXPECT_THAT(Verify(Root().Leaf(kLeafUri, Expired()), Root()),
              Denied("\"spiffe://example.org/a\": current time 2027-01-15T08:00:00Z is after "
                     "2027-01-15T07:59:59Z"));
  EXPECT_OK(Verify(Root().Leaf(kLeafUri, Valid(kNow, kNow)), Root()));
}

TEST(PathValidationTest, RefusesIntermediatesOutOfTheirTime) {
  for (const FakeChanges& changes : {Expired(), NotYetValid()}) {
    EXPECT_THAT(Verify(Root().Intermediate(changes).Leaf(kLeafUri), Root()), Denied(kExpired));
  }
}

TEST(PathValidationTest, RefusesAnchorsOutOfTheirTime) {
  for (const FakeChanges& changes : {Expired(), NotYetValid()}) {
    const FakeCa root = FakeCa::Root("example.org", kNow, changes);
    EXPECT_THAT(Verify(root.Leaf(kLeafUri), root), Denied(kExpired));
    EXPECT_THAT(Verify(root.Intermediate().Leaf(kLeafUri), root), Denied(kExpired));
  }
}

TEST(PathValidationTest, OneValidPathIsEnough) {
  const FakeCa expired = FakeCa::Root("example.org", kNow, Expired());
  const FakeCa middle = expired.Intermediate();
  // The same authority, certified anew by another root.
  const Certificate cross = middle.CrossSignedBy(Root());
  const Certificate leaf = middle.Leaf(kLeafUri).certificate;
  const Certificates anchors = {expired.certificate(), Root().certificate()};
  EXPECT_OK(Verify(leaf, {middle.certificate(), cross}, anchors));
  EXPECT_THAT(Verify(leaf, {middle.certificate()}, anchors), Denied(kExpired));
}

// X509-13
TEST(PathValidationTest, RefusesIssuersThatAreNotEntitled) {
  struct Case {
    FakeChanges changes;
    std::string_view words;
  };
  const Case cases[] = {
      {NotCa(), "is no CA"},
      {Without(kOidBasicConstraints), "is no CA"},
      {WithKeyUsage(kCrlSign), "has no keyCertSign"},
      {WithKeyUsage(kDigitalSignature | kCrlSign), "has no keyCertSign"},
      {With({"1.2.3", true, "any"}), "unhandled critical extension 1.2.3"},
  };
  for (const Case& c : cases) {
    const FakeIdentity below = Root().Intermediate(c.changes).Leaf(kLeafUri);
    EXPECT_THAT(Verify(below, Root()), Denied(c.words));
    const FakeCa root = FakeCa::Root("example.org", kNow, c.changes);
    EXPECT_THAT(Verify(root.Leaf(kLeafUri), root), Denied(c.words));
  }
}

TEST(PathValidationTest, RefusesALeafAsIssuer) {
  const FakeIdentity leaf = Root().Leaf(kLeafUri);
  const Template what = {.serial = "\x01",
                         .subject = {{"O", "evil"}},
                         .not_before = kNow,
                         .not_after = kNow,
                         .uris = {std::string(kLeafUri)},
                         .dns_names = {},
                         .is_ca = false,
                         .key_usage = kDigitalSignature,
                         .extended_key_usage = {}};
  const auto forged = Certificate::Parse(
      IssueCertificate(what, leaf.key->public_key(), &leaf.certificate, *leaf.key).value());
  EXPECT_THAT(Verify(*forged, {leaf.certificate}, {Root().certificate()}), Denied("is no CA"));
  EXPECT_THAT(Verify(*forged, {}, {leaf.certificate, Root().certificate()}), Denied("is no CA"));
}

TEST(PathValidationTest, AcceptsIssuersWithoutKeyUsageAndExtraExtensions) {
  EXPECT_OK(Verify(Root().Intermediate(WithKeyUsage(0)).Leaf(kLeafUri), Root()));
  EXPECT_OK(Verify(Root().Intermediate(With({"1.2.3", false, "any"})).Leaf(kLeafUri), Root()));
  EXPECT_OK(Verify(Root().Intermediate(WithKeyUsage(kKeyCertSign)).Leaf(kLeafUri), Root()));
}

// X509-15: a signing certificate may lack a SPIFFE ID, or have one of another trust domain.
TEST(PathValidationTest, DoesNotMindTheNamesOfIssuers) {
  EXPECT_OK(Verify(Root().Intermediate(Without(kOidSubjectAltName)).Leaf(kLeafUri), Root()));
  const FakeCa other = FakeCa::Root("other.example");
  EXPECT_OK(Verify(other.Intermediate().Leaf(kLeafUri), other));
}

// X509-17: a restricted purpose of an issuer does not restrict what is below it.
TEST(PathValidationTest, DoesNotMindTheExtendedKeyUsageOfIssuers) {
  const FakeChanges code_signing = {
      .change = [](Template& what) { what.extended_key_usage = {"1.3.6.1.5.5.7.3.3"}; }};
  EXPECT_OK(Verify(Root().Intermediate(code_signing).Leaf(kLeafUri), Root()));
}

// X509-13
TEST(PathValidationTest, ObeysPathLengths) {
  for (const int permitted : {0, 1, 2}) {
    const FakeCa root = FakeCa::Root("example.org", kNow, WithPathLength(permitted));
    FakeCa ca = root;
    for (int below = 0; below < 4; ++below) {
      const absl::Status status = Verify(ca.Leaf(kLeafUri), root);
      EXPECT_EQ(status.ok(), below <= permitted) << permitted << " " << below;
      EXPECT_THAT(status, testing::AnyOf(IsOk(), Denied("too many intermediates")));
      ca = ca.Intermediate();
    }
  }
  const FakeCa middle = Root().Intermediate(WithPathLength(0));
  EXPECT_OK(Verify(middle.Leaf(kLeafUri), Root()));
  EXPECT_THAT(Verify(middle.Intermediate().Leaf(kLeafUri), Root()), Denied("too many"));
}

TEST(PathValidationTest, SelfIssuedIntermediatesDoNotCountInPathLengths) {
  const FakeCa root = FakeCa::Root("example.org", kNow, WithPathLength(0));
  // A new key of the same name, certified by the old one: how a root's key is rolled over.
  const FakeCa rolled = root.Intermediate(SameName(root));
  EXPECT_OK(Verify(rolled.Leaf(kLeafUri), root));
  EXPECT_THAT(Verify(rolled.Intermediate().Leaf(kLeafUri), root), Denied("too many"));
}

TEST(PathValidationTest, ToleratesCriticalExtensionsOfTheLeafThatTheCallerNames) {
  const Certificate leaf = Root().Leaf(kLeafUri, With({"1.2.3", true, "any"})).certificate;
  const auto verify = [&leaf](std::vector<std::string> tolerated) {
    return VerifyPath(leaf, {}, {Root().certificate()},
                      {.now = kNow, .tolerated_critical = std::move(tolerated)});
  };
  EXPECT_THAT(verify({}), Denied("unhandled critical extension 1.2.3"));
  EXPECT_THAT(verify({"1.2.4", "1.2"}), Denied("unhandled critical extension 1.2.3"));
  EXPECT_OK(verify({"1.2.4", "1.2.3"}));
  // Of the leaf only.
  const FakeIdentity below = Root().Intermediate(With({"1.2.3", true, "any"})).Leaf(kLeafUri);
  EXPECT_THAT(VerifyPath(below.certificate, {below.chain[1]}, {Root().certificate()},
                         {.now = kNow, .tolerated_critical = {"1.2.3"}}),
              Denied("unhandled critical extension 1.2.3"));
}

// Its only alternative name is a directory name, critical; it never expires.
TEST(PathValidationTest, JudgesCertificatesOfTheFormOfATpmsEndorsementKey) {
  const std::string directory =
      DerWrap(DerContextConstructed(4), WriteName({{"CN", "id:00001014"}}).value());
  FakeChanges changes =
      With({std::string(kOidSubjectAltName), true, DerWrap(kDerSequence, directory)});
  changes.key_type = KeyType::kRsa2048;
  changes.change = [](Template& what) {
    what.subject = {{"CN", "unknown"}};
    what.not_after =
        absl::FromCivil(absl::CivilSecond(9999, 12, 31, 23, 59, 59), absl::UTCTimeZone());
    what.key_usage = kKeyEncipherment;
    what.extended_key_usage = {"2.23.133.8.1"};
  };
  const FakeIdentity ek = Root().Intermediate().Leaf(kLeafUri, changes);
  EXPECT_THAT(Verify(ek, Root()), Denied("unhandled critical extension 2.5.29.17"));
  EXPECT_OK(VerifyPath(ek.certificate, {ek.chain[1]}, {Root().certificate()},
                       {.now = kNow, .tolerated_critical = {"2.5.29.17"}}));
}

struct ConstraintCase {
  std::vector<std::string> permitted, excluded;
  std::string uri;
  bool accepted;
};

// X509-18
TEST(PathValidationTest, ObeysUriNameConstraints) {
  const ConstraintCase cases[] = {
      {{"a.test"}, {}, "spiffe://a.test/x", true},
      {{"A.Test"}, {}, "spiffe://a.test/x", true},
      {{"b.test"}, {}, "spiffe://a.test/x", false},
      {{"b.test", "a.test"}, {}, "spiffe://a.test/x", true},
      {{"a.test"}, {}, "spiffe://sub.a.test/x", false},
      {{".a.test"}, {}, "spiffe://sub.a.test/x", true},
      {{".a.test"}, {}, "spiffe://deep.sub.a.test/x", true},
      {{".a.test"}, {}, "spiffe://a.test/x", false},
      {{"a.test"}, {}, "spiffe://evil-a.test/x", false},
      {{"a.test"}, {}, "spiffe://a.test.evil/x", false},
      {{"a.test"}, {}, "spiffe://evil/a.test", false},
      {{"a.test"}, {}, "spiffe://a.test@evil/x", false},
      {{"a.test"}, {}, "spiffe://evil?@a.test/x", false},
      {{"a.test"}, {}, "https://user@a.test:8443/x", true},
      {{"a.test"}, {}, "spiffe://127.0.0.1/x", false},
      {{"a.test"}, {}, "spiffe://[::1]/x", false},
      {{"a.test"}, {}, "urn:a.test", false},
      {{""}, {}, "spiffe://a.test/x", true},
      {{}, {"a.test"}, "spiffe://a.test/x", false},
      {{}, {"a.test"}, "spiffe://b.test/x", true},
      {{}, {".test"}, "spiffe://a.test/x", false},
      {{}, {""}, "spiffe://a.test/x", false},
      {{}, {"b.test"}, "urn:x", false},
      {{}, {"evil"}, "spiffe://x@a.test@evil/x", false},
      {{".a.test"}, {}, "spiffe://.a.test/x", false},
      {{".test"}, {"a.test"}, "spiffe://a.test/x", false},
      {{".test"}, {"a.test"}, "spiffe://b.test/x", true},
  };
  for (const ConstraintCase& c : cases) {
    const FakeCa middle = Root().Intermediate(Constrain(c.permitted, c.excluded));
    EXPECT_EQ(Verify(middle.Leaf(c.uri), Root()).ok(), c.accepted) << c.uri;
  }
}

TEST(PathValidationTest, ConstraintsReachEveryCertificateBelow) {
  const FakeCa root = FakeCa::Root("example.org", kNow, Constrain({"a.test"}, {}));
  const FakeChanges in_a = {.change = [](Template& what) { what.uris = {"spiffe://a.test"}; }};
  EXPECT_OK(Verify(root.Intermediate(in_a).Leaf("spiffe://a.test/x"), root));
  EXPECT_THAT(Verify(root.Intermediate(in_a).Leaf("spiffe://b.test/x"), root),
              Denied("\"spiffe://b.test/x\" is not permitted"));
  // An intermediate named in another domain is out of bounds, even if the leaf is not.
  EXPECT_THAT(Verify(root.Intermediate().Leaf("spiffe://a.test/x"), root),
              Denied("\"spiffe://example.org\" is not permitted"));
  // Two URIs: each must fit.
  EXPECT_FALSE(
      Verify(root.Leaf("spiffe://a.test/x",
                       {.change = [](Template& what) { what.uris.push_back("spiffe://b/x"); }}),
             root)
          .ok());
}

TEST(PathValidationTest, SelfIssuedIntermediatesAreExemptFromConstraints) {
  const FakeCa root = FakeCa::Root("example.org", kNow, Constrain({"a.test"}, {}));
  const FakeCa rolled = root.Intermediate(SameName(root));
  EXPECT_OK(Verify(rolled.Leaf("spiffe://a.test/x"), root));
  EXPECT_THAT(Verify(rolled.Leaf("spiffe://b.test/x"), root), Denied("not permitted"));
  // A leaf is not, whatever its name.
  EXPECT_THAT(Verify(root.Leaf("spiffe://b.test/x", SameName(root)), root),
              Denied("not permitted"));
}

TEST(PathValidationTest, RefusesConstraintsItDoesNotUnderstand) {
  const FakeCa middle = Root().Intermediate(Constrain({"example.org"}, {}, DerContext(2)));
  EXPECT_THAT(Verify(middle.Leaf(kLeafUri), Root()), Denied("not supported"));
}

TEST(PathValidationTest, CirclesOfCrossCertificatesEnd) {
  const FakeCa one = FakeCa::Root("one.example"), two = FakeCa::Root("two.example");
  const Certificates circle = {one.CrossSignedBy(two), two.CrossSignedBy(one), one.certificate(),
                               two.certificate()};
  const Certificate leaf = one.Leaf(kLeafUri).certificate;
  EXPECT_THAT(Verify(leaf, circle, {Root().certificate()}), Denied(kUnknown));
  EXPECT_OK(Verify(leaf, circle, {two.certificate()}));
}

TEST(PathValidationTest, CirclesDoNotHideThePath) {
  std::vector<FakeCa> circle;
  for (int i = 0; i < 4; ++i) {
    circle.push_back(FakeCa::Root());
  }
  Certificates sent;
  for (const FakeCa& one : circle) {
    for (const FakeCa& other : circle) {
      sent.push_back(one.CrossSignedBy(other));
    }
  }
  sent.push_back(circle[0].CrossSignedBy(Root().Intermediate()));
  const FakeCa middle = Root().Intermediate();
  sent.push_back(circle[0].CrossSignedBy(middle));
  sent.push_back(middle.certificate());
  EXPECT_OK(Verify(circle[0].Leaf(kLeafUri).certificate, sent, {Root().certificate()}));
}

// Nine authorities that all certified each other give a hundred thousand ways to go.
TEST(PathValidationTest, AThicketOfCrossCertificatesCostsBoundedWork) {
  std::vector<FakeCa> authorities;
  for (int i = 0; i < 9; ++i) {
    authorities.push_back(FakeCa::Root());
  }
  Certificates thicket;
  for (const FakeCa& one : authorities) {
    for (const FakeCa& other : authorities) {
      thicket.push_back(one.CrossSignedBy(other));
    }
  }
  const Certificate leaf = authorities[0].Leaf(kLeafUri).certificate;
  EXPECT_THAT(Verify(leaf, thicket, {Root().certificate()}), Denied(kUnknown));
  EXPECT_OK(Verify(leaf, thicket, {authorities[5].certificate()}));
}

// Who has no certificate of an anchor chooses neither how many signatures are checked nor the keys.
TEST(PathValidationTest, ChecksNoSignatureByAuthoritiesOfStrangers) {
  const FakeCa evil = FakeCa::Root();
  Certificates same_name;
  for (int i = 0; i < 8; ++i) {
    same_name.push_back(FakeCa::Root("example.org", kNow, SameName(evil)).certificate());
  }
  // The words name each candidate whose signature it was not.
  EXPECT_THAT(Verify(evil.Leaf(kLeafUri).certificate, same_name, {Root().certificate()}),
              AllOf(Denied(kUnknown), Not(Denied("candidate"))));
}

TEST(PathValidationTest, AThicketOfStrangersDoesNotHideThePath) {
  std::vector<FakeCa> strangers;
  for (int i = 0; i < 6; ++i) {
    strangers.push_back(FakeCa::Root());
  }
  const FakeCa ca = Root().Intermediate();
  Certificates sent = {ca.CrossSignedBy(strangers[0])};
  for (const FakeCa& one : strangers) {
    for (const FakeCa& other : strangers) {
      sent.push_back(one.CrossSignedBy(other));
    }
  }
  sent.push_back(ca.certificate());
  EXPECT_OK(Verify(ca.Leaf(kLeafUri).certificate, sent, {Root().certificate()}));
}

// X509-16 is judged by the caller; here only: to be an anchor does not make one a leaf of it.
TEST(PathValidationTest, AnAnchorAsLeafNeedsAPathLikeAnyOther) {
  const Certificate middle = Root().Intermediate().certificate();
  EXPECT_THAT(Verify(middle, {}, {middle}), Denied(kUnknown));
  EXPECT_OK(Verify(middle, {}, {middle, Root().certificate()}));
  EXPECT_OK(Verify(Root().certificate(), {}, {Root().certificate()}));
  const FakeIdentity leaf = Root().Leaf(kLeafUri);
  EXPECT_THAT(Verify(leaf.certificate, {}, {leaf.certificate}), Denied(kUnknown));
}

TEST(PathValidationTest, TellsTheReasonOfTheIssuerThatDidSign) {
  const FakeCa expired = Root().Intermediate(Expired());
  const FakeCa evil = EvilRoot().Intermediate(SameName(expired));
  const FakeIdentity leaf = expired.Leaf(kLeafUri);
  EXPECT_THAT(Verify(leaf.certificate, {evil.certificate(), leaf.chain[1], evil.certificate()},
                     {Root().certificate()}),
              AllOf(Denied(kExpired), Not(Denied("unknown authority"))));
}

}  // namespace
}  // namespace assay::crypto
