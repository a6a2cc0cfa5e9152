// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/certificate.h"

#include <gtest/gtest.h>

#include "crypto/der_writer.h"
#include "crypto/digest.h"
#include "crypto/extensions.h"
#include "crypto/pem.h"
#include "crypto/serial_number.h"
#include "tests/support/fake_ca.h"
#include "tests/support/status_matchers.h"

namespace assay::crypto {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Template = CertificateTemplate;
using Extensions = std::vector<Extension>;

const FakeCa& Ca() {
  static const FakeCa ca = FakeCa::Root();
  return ca;
}

// DER of a leaf with this extension besides or instead of the usual ones; it need not parse.
std::string DerWith(const Extension& extension) {
  const Certificate& ca = Ca().certificate();
  Template what = {.serial = "\x01",
                   .subject = {{"O", "SPIRE"}},
                   .not_before = Ca().now(),
                   .not_after = Ca().now(),
                   .uris = {"spiffe://example.org/a"},
                   .dns_names = {},
                   .is_ca = false,
                   .key_usage = kDigitalSignature,
                   .extended_key_usage = {}};
  Extensions extensions = ExtensionsFor(what, Ca().key().public_key(), &ca).value();
  SetExtension(extensions, extension);
  return SignCertificate({.serial = what.serial,
                          .issuer = ca.subject(),
                          .subject = WriteName(what.subject).value(),
                          .not_before = what.not_before,
                          .not_after = what.not_after,
                          .extensions = extensions},
                         Ca().key().public_key(), Ca().key())
      .value();
}

absl::StatusOr<Certificate> ParseWith(std::string_view oid, bool critical, std::string value) {
  return Certificate::Parse(DerWith({std::string(oid), critical, std::move(value)}));
}

std::string Names(std::initializer_list<std::string_view> names) { return DerSequence(names); }
std::string Uri(std::string_view uri) { return DerWrap(DerContext(6), uri); }
std::string Dns(std::string_view name) { return DerWrap(DerContext(2), name); }

TEST(CertificateTest, ReadsTheFieldsOfARoot) {
  const Certificate& root = Ca().certificate();
  EXPECT_TRUE(root.is_ca());
  EXPECT_EQ(root.path_length(), std::nullopt);
  EXPECT_EQ(root.key_usage(), kKeyCertSign | kCrlSign);
  EXPECT_TRUE(root.key_usage_critical());
  EXPECT_THAT(root.uris(), ElementsAre("spiffe://example.org"));
  EXPECT_THAT(root.extended_key_usage(), IsEmpty());
  EXPECT_EQ(root.subject_key_id(), root.public_key().KeyIdentifier());
  EXPECT_EQ(root.authority_key_id(), "");
  EXPECT_EQ(root.subject(), root.issuer());
  EXPECT_EQ(root.not_after() - root.not_before(), absl::Hours(25));
  EXPECT_THAT(root.unknown_critical(), IsEmpty());
  EXPECT_EQ(root.name_constraints(), std::nullopt);
  EXPECT_OK(root.VerifySignedBy(root.public_key()));
}

TEST(CertificateTest, ReadsTheFieldsOfALeaf) {
  const FakeIdentity leaf = Ca().Leaf("spiffe://example.org/a", {.change = [](Template& what) {
                                        what.dns_names = {"b.example", "a.example"};
                                        what.subject.push_back({"CN", "b.example"});
                                      }});
  const Certificate& certificate = leaf.certificate;
  EXPECT_FALSE(certificate.is_ca());
  EXPECT_THAT(certificate.dns_names(), ElementsAre("b.example", "a.example"));
  EXPECT_THAT(certificate.extended_key_usage(), ElementsAre(kServerAuth, kClientAuth));
  EXPECT_EQ(certificate.SubjectText(), "CN=b.example,O=SPIRE,C=US");
  EXPECT_EQ(certificate.subject_cn(), "b.example");
  EXPECT_EQ(certificate.issuer(), Ca().certificate().subject());
  EXPECT_EQ(certificate.issuer_cn(), "");
  EXPECT_EQ(certificate.authority_key_id(), Ca().certificate().subject_key_id());
  EXPECT_EQ(certificate.public_key(), leaf.key->public_key());
  EXPECT_OK(certificate.VerifySignedBy(Ca().key().public_key()));
  EXPECT_THAT(certificate.VerifySignedBy(certificate.public_key()),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("not of this key")));
}

struct SerialCase {
  std::string bytes, decimal;
};

TEST(CertificateTest, WritesSerialsAsDecimalNumbers) {
  for (const SerialCase& c :
       {SerialCase{"\x01", "1"}, SerialCase{"\xff", "255"},
        SerialCase{std::string("\x01\x00", 2), "256"},
        SerialCase{std::string(16, '\xff'), "340282366920938463463374607431768211455"}}) {
    const FakeIdentity leaf = Ca().Leaf(
        "spiffe://example.org/a", {.change = [&c](Template& what) { what.serial = c.bytes; }});
    EXPECT_EQ(leaf.certificate.serial(), c.decimal);
    EXPECT_EQ(leaf.certificate.serial_bytes(), c.bytes);
    EXPECT_EQ(SerialOf(leaf.certificate.der() + Ca().certificate().der()), c.decimal);
  }
  EXPECT_EQ(SerialOf(""), "");
  EXPECT_EQ(SerialOf("no certificate"), "");
}

TEST(CertificateTest, ReadsTheYear9999) {
  const absl::Time end =
      absl::FromCivil(absl::CivilSecond(9999, 12, 31, 23, 59, 59), absl::UTCTimeZone());
  const FakeIdentity leaf = Ca().Leaf("spiffe://example.org/a",
                                      {.change = [end](Template& what) { what.not_after = end; }});
  EXPECT_EQ(leaf.certificate.not_after(), end);
}

// X509-01, X509-02, X509-03: all URIs are seen, in order, whatever other names stand between.
TEST(CertificateTest, KeepsTheOrderOfNamesAndSkipsOtherKinds) {
  const std::string other = DerWrap(DerContextConstructed(0), DerObjectId("1.2.3"));
  const std::string mail = DerWrap(DerContext(1), "a@b"),
                    ip = DerWrap(DerContext(7), "\x7f\x01\x01\x01");
  const std::string directory = DerWrap(DerContextConstructed(4), WriteName({{"CN", "x"}}).value());
  const auto certificate =
      ParseWith(kOidSubjectAltName, true,
                Names({mail, Uri("spiffe://b"), other, Dns("y.example"), Uri("spiffe://a/x"), ip,
                       directory, Uri("spiffe://b"), Dns("x.example")}));
  ASSERT_OK(certificate);
  EXPECT_THAT(certificate->uris(), ElementsAre("spiffe://b", "spiffe://a/x", "spiffe://b"));
  EXPECT_THAT(certificate->dns_names(), ElementsAre("y.example", "x.example"));
  EXPECT_THAT(certificate->unknown_critical(), IsEmpty());
}

TEST(CertificateTest, RefusesNamesWithNulsOrForeignBytes) {
  for (const std::string& name :
       {Uri(std::string_view("spiffe://a/x\0.evil", 18)), Uri("spiffe://a/\xc3\xa4"),
        Uri(std::string_view("\0", 1)), Dns(std::string_view("a\0b", 3)), Dns("\xff")}) {
    EXPECT_THAT(ParseWith(kOidSubjectAltName, false, Names({name})),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("NUL")));
  }
}

TEST(CertificateTest, RecordsACriticalNameExtensionItDoesNotUnderstand) {
  // The form of TPM endorsement certificates.
  const std::string directory =
      DerWrap(DerContextConstructed(4), WriteName({{"CN", "tpm"}}).value());
  EXPECT_THAT(ParseWith(kOidSubjectAltName, true, Names({directory}))->unknown_critical(),
              ElementsAre("2.5.29.17"));
  EXPECT_THAT(ParseWith(kOidSubjectAltName, false, Names({directory}))->unknown_critical(),
              IsEmpty());
  EXPECT_THAT(ParseWith(kOidSubjectAltName, true, Names({directory, Dns("a")}))->unknown_critical(),
              IsEmpty());
}

TEST(CertificateTest, RecordsUnknownCriticalExtensionsOnly) {
  EXPECT_THAT(ParseWith("1.2.3.4", true, "any")->unknown_critical(), ElementsAre("1.2.3.4"));
  EXPECT_THAT(ParseWith("1.2.3.4", false, "any")->unknown_critical(), IsEmpty());
}

// X509-06: absent or empty basic constraints are not a CA's.
TEST(CertificateTest, ReadsBasicConstraints) {
  const std::string no = DerWrap(kDerBoolean, std::string_view("\0", 1));
  EXPECT_FALSE(ParseWith(kOidBasicConstraints, true, DerSequence({}))->is_ca());
  EXPECT_FALSE(ParseWith(kOidBasicConstraints, true, DerSequence({no}))->is_ca());
  EXPECT_TRUE(ParseWith(kOidBasicConstraints, false, DerSequence({DerTrue()}))->is_ca());
  const auto limited = ParseWith(kOidBasicConstraints, true, DerSequence({DerTrue(), DerSmall(3)}));
  EXPECT_EQ(limited->path_length(), 3);
  EXPECT_EQ(ParseWith(kOidBasicConstraints, true, DerSequence({DerSmall(3)}))->path_length(),
            std::nullopt);
  const FakeIdentity without =
      Ca().Leaf("spiffe://example.org/a", {.change_extensions = [](Extensions& extensions) {
                  RemoveExtension(extensions, kOidBasicConstraints);
                }});
  EXPECT_FALSE(without.certificate.is_ca());
}

TEST(CertificateTest, ReadsKeyUsageThatIsAbsentOrNotCritical) {
  EXPECT_FALSE(
      ParseWith(kOidKeyUsage, false, DerNamedBits(kDigitalSignature))->key_usage_critical());
  const FakeIdentity without =
      Ca().Leaf("spiffe://example.org/a", {.change = [](Template& what) { what.key_usage = 0; }});
  EXPECT_EQ(without.certificate.key_usage(), std::nullopt);
  EXPECT_EQ(ParseWith(kOidKeyUsage, true, DerNamedBits(1u << 8))->key_usage(), 1u << 8);
}

TEST(CertificateTest, ReadsNameConstraints) {
  const auto subtree = [](const std::string& name) { return DerSequence({name}); };
  const std::string permitted =
      DerWrap(DerContextConstructed(0), subtree(Uri("a.example")) + subtree(Uri(".b.example")));
  const std::string excluded = DerWrap(DerContextConstructed(1), subtree(Uri("c.example")));
  auto certificate = ParseWith(kOidNameConstraints, true, DerSequence({permitted, excluded}));
  EXPECT_THAT(certificate->name_constraints()->permitted_uris,
              ElementsAre("a.example", ".b.example"));
  EXPECT_THAT(certificate->name_constraints()->excluded_uris, ElementsAre("c.example"));
  EXPECT_FALSE(certificate->name_constraints()->has_others);
  const std::string minimum = DerSequence({Uri("a.example"), DerWrap(DerContext(0), "\x01")});
  for (const std::string& other : {subtree(Dns("a.example")), minimum}) {
    certificate = ParseWith(kOidNameConstraints, true,
                            DerSequence({DerWrap(DerContextConstructed(0), other)}));
    EXPECT_TRUE(certificate->name_constraints()->has_others);
  }
}

struct BadExtension {
  std::string_view oid;
  std::string value;
};

TEST(CertificateTest, RefusesMalformedExtensions) {
  const std::string octet = DerOctets("x");
  for (const BadExtension& bad : std::vector<BadExtension>{
           {kOidSubjectAltName, ""},
           {kOidSubjectAltName, DerSequence({})},
           {kOidSubjectAltName, DerSequence({octet})},
           {kOidSubjectAltName, DerSequence({DerWrap(DerContext(9), "x")})},
           {kOidSubjectAltName, DerSequence({Uri("a")}) + "x"},
           {kOidBasicConstraints, DerSequence({DerTrue(), DerTrue()})},
           {kOidBasicConstraints, DerSequence({DerTrue(), DerWrap(kDerInteger, "\xff")})},
           {kOidBasicConstraints, DerSequence({DerWrap(kDerBoolean, "\x01")})},
           {kOidKeyUsage, octet},
           {kOidKeyUsage, DerNamedBits(1) + "x"},
           {kOidExtendedKeyUsage, DerSequence({})},
           {kOidExtendedKeyUsage, DerSequence({octet})},
           {kOidNameConstraints, DerSequence({})},
           {kOidNameConstraints, DerSequence({DerWrap(DerContextConstructed(0), "")})},
           {kOidNameConstraints, DerSequence({DerWrap(DerContextConstructed(2), "")})},
           {kOidSubjectKeyId, "x"},
           {kOidSubjectKeyId, octet + octet},
           {kOidAuthorityKeyId, octet},
       }) {
    EXPECT_THAT(ParseWith(bad.oid, false, bad.value),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("certificate does not parse")))
        << bad.oid << " " << HexEncode(bad.value);
  }
}

TEST(CertificateTest, RefusesAnExtensionThatIsThereTwice) {
  const Extension extension = {std::string(kOidSubjectAltName), false,
                               Names({Uri("spiffe://b/c")})};
  const auto& ca = Ca().certificate();
  const std::string der = SignCertificate({.serial = "\x01",
                                           .issuer = ca.subject(),
                                           .subject = ca.subject(),
                                           .not_before = Ca().now(),
                                           .not_after = Ca().now(),
                                           .extensions = {extension, extension}},
                                          ca.public_key(), Ca().key())
                              .value();
  EXPECT_THAT(Certificate::Parse(der),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("2.5.29.17 is there twice")));
}

TEST(CertificateTest, RefusesElementsAfterTheLastField) {
  DerReader outer(Ca().certificate().der());
  DerReader fields = outer.Enter(kDerSequence, "certificate").value();
  const std::string_view tbs = fields.Read(kDerSequence, "tbs").value().content;
  const std::string_view rest = fields.rest();
  for (const std::string& more : {DerNullValue(), DerWrap(DerContextConstructed(4), "")}) {
    const std::string longer = DerSequence({tbs, more});
    EXPECT_THAT(Certificate::Parse(DerSequence({longer, rest})),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("signed part")));
    EXPECT_THAT(Certificate::Parse(DerSequence({DerSequence({tbs}), rest, more})),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("outer sequence")));
  }
  EXPECT_OK(Certificate::Parse(DerSequence({DerSequence({tbs}), rest})));
}

TEST(CertificateTest, ReadsExactlyOneCertificate) {
  const std::string& der = Ca().certificate().der();
  for (size_t size = 0; size < der.size(); ++size) {
    EXPECT_FALSE(Certificate::Parse(der.substr(0, size)).ok()) << size;
  }
  EXPECT_THAT(Certificate::Parse(der + '\0'),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("1 trailing bytes")));
  EXPECT_THAT(Certificate::Parse(DerOctets(std::string(65 << 10, 'x'))),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("at most 65536")));
}

// A changed byte is either refused when parsed, or changes what was signed or the signature.
TEST(CertificateTest, NoChangedByteGoesUnseen) {
  const std::string der = Ca().Leaf("spiffe://example.org/a").certificate.der();
  for (size_t i = 0; i < der.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string changed = der;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      const auto certificate = Certificate::Parse(changed);
      EXPECT_FALSE(certificate.ok() && certificate->VerifySignedBy(Ca().key().public_key()).ok())
          << i;
    }
  }
}

TEST(CertificateTest, RefusesSignatureAlgorithmsThatDifferOrAreNotSupported) {
  const std::string& der = Ca().certificate().der();
  const std::string sha256 = DerObjectId("1.2.840.10045.4.3.2");
  const std::string sha1 = DerWrap(kDerOid, HexDecode("2a8648ce3d04030501").value().substr(0, 8));
  std::string outer_only = der, both = der;
  outer_only.replace(outer_only.rfind(sha256), sha256.size(), sha1);
  EXPECT_THAT(Certificate::Parse(outer_only),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("algorithm differ")));
  both.replace(both.find(sha256), sha256.size(), sha1);
  both.replace(both.rfind(sha256), sha256.size(), sha1);
  const auto certificate = Certificate::Parse(both);
  ASSERT_OK(certificate);
  EXPECT_THAT(certificate->VerifySignedBy(certificate->public_key()),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("not supported")));
}

TEST(CertificateTest, ReadsChainsAsTheWorkloadApiCarriesThem) {
  const FakeIdentity leaf = Ca().Intermediate().Leaf("spiffe://example.org/a");
  const auto chain = Certificate::ParseConcatenated(Concatenate(leaf.chain));
  ASSERT_OK(chain);
  EXPECT_EQ(*chain, leaf.chain);
  EXPECT_FALSE(Certificate::ParseConcatenated("").ok());
  EXPECT_THAT(Certificate::ParseConcatenated(leaf.certificate.der() + "0"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("certificate 2")));
}

TEST(CertificateTest, ReadsTheCertificatesOfAPemText) {
  const std::string pem = PemEncode("CERTIFICATE", Ca().certificate().der());
  EXPECT_EQ(Certificate::ParsePem(PemEncode("PRIVATE KEY", "x") + pem + pem)->size(), 2u);
  EXPECT_THAT(Certificate::ParsePem("text"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("no CERTIFICATE")));
  EXPECT_THAT(Certificate::ParsePem(pem + PemEncode("CERTIFICATE", "x")),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("PEM block 2")));
}

}  // namespace
}  // namespace assay::crypto
