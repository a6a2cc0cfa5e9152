// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/issue.h"

#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "crypto/der_writer.h"
#include "crypto/pem.h"
#include "tests/support/fake_ca.h"
#include "tests/support/openssl_command.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay::crypto {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr KeyType kTypes[] = {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048};

std::unique_ptr<PrivateKey> NewKey(KeyType type = KeyType::kEcP256) {
  return PrivateKey::Generate(type).value();
}

void Save(const std::string& path, std::string_view label, std::string_view der) {
  ASSERT_OK(WriteFileAtomically(path, PemEncode(label, der), 0600));
}

CertificateTemplate LeafTemplate() {
  return {.serial = "\x05",
          .subject = {},
          .not_before = absl::FromUnixSeconds(1'800'000'000),
          .not_after = absl::FromUnixSeconds(1'800'003'600),
          .uris = {"spiffe://example.org/a"},
          .dns_names = {},
          .is_ca = false,
          .key_usage = kDigitalSignature,
          .extended_key_usage = {std::string(kServerAuth)}};
}

TEST(IssueTest, SerialsAreRandomAndOf16Bytes) {
  EXPECT_EQ(RandomSerial().size(), 16u);
  EXPECT_NE(RandomSerial(), RandomSerial());
}

// X509-05
TEST(IssueTest, NamesAreCriticalWhenTheSubjectIsEmpty) {
  const auto key = NewKey();
  CertificateTemplate what = LeafTemplate();
  const auto critical_names = [&what, &key] {
    const std::vector<Extension> extensions =
        ExtensionsFor(what, key->public_key(), nullptr).value();
    for (const Extension& extension : extensions) {
      if (extension.oid == kOidSubjectAltName) {
        return extension.critical;
      }
    }
    return false;
  };
  EXPECT_TRUE(critical_names());
  what.subject = {{"O", "SPIRE"}};
  EXPECT_FALSE(critical_names());
}

TEST(IssueTest, RefusesTemplatesThatMakeNoCertificate) {
  const auto key = NewKey();
  const auto refused = [&key](auto change) {
    CertificateTemplate what = LeafTemplate();
    change(what);
    return absl::IsInvalidArgument(
        IssueCertificate(what, key->public_key(), nullptr, *key).status());
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& what) { what.serial = ""; }));
  EXPECT_TRUE(refused([](auto& what) { what.serial = std::string(16, '\0'); }));
  EXPECT_TRUE(refused([](auto& what) { what.serial = std::string(21, '\x01'); }));
  EXPECT_TRUE(refused([](auto& what) { what.serial = std::string(20, '\xff'); }));
  EXPECT_FALSE(refused([](auto& what) { what.serial = std::string(20, '\x7f'); }));
  EXPECT_TRUE(refused([](auto& what) { what.not_after = what.not_before - absl::Seconds(1); }));
  EXPECT_TRUE(refused([](auto& what) { what.not_after = absl::InfiniteFuture(); }));
  EXPECT_TRUE(refused([](auto& what) { what.not_before = absl::InfinitePast(); }));
  EXPECT_TRUE(refused([](auto& what) { what.uris = {"spiffe://a/\xff"}; }));
  EXPECT_TRUE(refused([](auto& what) { what.uris = {std::string("a\0b", 3)}; }));
  EXPECT_TRUE(refused([](auto& what) { what.dns_names = {""}; }));
  EXPECT_TRUE(refused([](auto& what) { what.extended_key_usage = {"serverAuth"}; }));
  EXPECT_TRUE(refused([](auto& what) { what.extended_key_usage = {"1..3"}; }));
  EXPECT_TRUE(refused([](auto& what) { what.subject = {{"X", "y"}}; }));
  EXPECT_TRUE(refused([](auto& what) { what.subject = {{"C", "\xc3\xa4"}}; }));
  EXPECT_TRUE(refused([](auto& what) { what.subject = {{"O", "\xc3"}}; }));
}

TEST(IssueTest, RefusesToSignWithAKeyThatIsNotTheIssuers) {
  const FakeCa ca = FakeCa::Root();
  const auto key = NewKey();
  EXPECT_THAT(IssueCertificate(LeafTemplate(), key->public_key(), &ca.certificate(), *key),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("signing key")));
  EXPECT_THAT(IssueCertificate(LeafTemplate(), key->public_key(), nullptr, ca.key()),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("signing key")));
}

TEST(IssueTest, WritesSubjectsOfAnyAlphabet) {
  const auto key = NewKey();
  CertificateTemplate what = LeafTemplate();
  what.subject = {{"O",
                   "Gr\xc3\xbc\xc3\x9f"
                   "e, Co"},
                  {"CN", " a+b#"}};
  const auto der = IssueCertificate(what, key->public_key(), nullptr, *key);
  ASSERT_OK(der);
  EXPECT_EQ(Certificate::Parse(*der)->SubjectText(),
            "CN=\\ a\\+b#,O=Gr\xc3\xbc\xc3\x9f"
            "e\\, Co");
}

// X509-07, X509-08, X509-09, X509-11, X509-12, X509-13: what the reference server issues.
TEST(IssueTest, OpensslVerifiesChainsStrictly) {
  SKIP_WITHOUT_OPENSSL();
  const TempFolder folder;
  const std::string root = folder.path() + "/root.pem", leaf = folder.path() + "/leaf.pem",
                    middle = folder.path() + "/middle.pem";
  for (KeyType type : kTypes) {
    const FakeCa ca = FakeCa::Root("example.org", absl::Now(), {.key_type = type});
    const FakeCa below = ca.Intermediate({.key_type = type});
    for (const bool no_subject : {false, true}) {
      const FakeIdentity identity =
          below.Leaf("spiffe://example.org/a", {.change =
                                                    [no_subject](CertificateTemplate& what) {
                                                      if (no_subject) {
                                                        what.subject.clear();
                                                      }
                                                    },
                                                .key_type = type});
      Save(root, "CERTIFICATE", ca.certificate().der());
      Save(middle, "CERTIFICATE", below.certificate().der());
      Save(leaf, "CERTIFICATE", identity.certificate.der());
      const CommandResult result =
          RunOpenssl("verify -x509_strict -CAfile " + root + " -untrusted " + middle + " " + leaf);
      EXPECT_EQ(result.exit_code, 0) << result.output;
    }
  }
}

TEST(IssueTest, OpensslSeesTheExtensionsOfTheReferenceServer) {
  SKIP_WITHOUT_OPENSSL();
  const TempFolder folder;
  const FakeCa ca = FakeCa::Root();
  Save(folder.path() + "/c.pem", "CERTIFICATE",
       ca.Leaf("spiffe://example.org/a").certificate.der());
  const std::string text = RunOpenssl("x509 -noout -text -in " + folder.path() + "/c.pem").output;
  EXPECT_THAT(text, HasSubstr("X509v3 Key Usage: critical\n                Digital Signature, Key "
                              "Encipherment, Key Agreement\n"));
  EXPECT_THAT(text, HasSubstr("X509v3 Basic Constraints: critical\n                CA:FALSE\n"));
  EXPECT_THAT(text, HasSubstr("TLS Web Server Authentication, TLS Web Client Authentication\n"));
  EXPECT_THAT(text, HasSubstr("URI:spiffe://example.org/a\n"));
  Save(folder.path() + "/c.pem", "CERTIFICATE", ca.certificate().der());
  const std::string root = RunOpenssl("x509 -noout -text -in " + folder.path() + "/c.pem").output;
  EXPECT_THAT(root,
              HasSubstr("X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign"));
  EXPECT_THAT(root, HasSubstr("X509v3 Basic Constraints: critical\n                CA:TRUE\n"));
  EXPECT_THAT(root, HasSubstr("URI:spiffe://example.org\n"));
  EXPECT_THAT(root, Not(HasSubstr("Authority Key")));
}

TEST(RequestTest, ComesBackAsItWasMade) {
  for (KeyType type : kTypes) {
    const auto key = NewKey(type);
    const RequestTemplate what = {.subject = {{"C", "US"}, {"O", "SPIRE"}},
                                  .uris = {"spiffe://example.org/a"},
                                  .dns_names = {"b.example", "a.example"}};
    const auto request = CertificateRequest::Parse(MakeCertificateRequest(what, *key).value());
    ASSERT_OK(request);
    EXPECT_OK(request->self_signature);
    EXPECT_EQ(request->public_key, key->public_key());
    EXPECT_EQ(request->subject, what.subject);
    EXPECT_EQ(request->uris, what.uris);
    EXPECT_EQ(request->dns_names, what.dns_names);
  }
}

TEST(RequestTest, NeedsNoNames) {
  const auto key = NewKey();
  const auto request = CertificateRequest::Parse(
      MakeCertificateRequest({.subject = {}, .uris = {}, .dns_names = {}}, *key).value());
  ASSERT_OK(request);
  EXPECT_TRUE(request->subject.empty() && request->uris.empty() && request->dns_names.empty());
}

TEST(RequestTest, SaysWhenTheSignatureIsNotOfItsKey) {
  const auto key = NewKey();
  std::string der =
      MakeCertificateRequest({.subject = {{"O", "SPIRE"}}, .uris = {}, .dns_names = {}}, *key)
          .value();
  der.replace(der.find("SPIRE"), 5, "SPORE");
  const auto request = CertificateRequest::Parse(der);
  ASSERT_OK(request);
  EXPECT_THAT(request->self_signature,
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("not of this key")));
}

TEST(RequestTest, RefusesBytesThatAreNoRequest) {
  const auto key = NewKey();
  const std::string der =
      MakeCertificateRequest({.subject = {{"O", "X"}}, .uris = {"spiffe://a/b"}, .dns_names = {}},
                             *key)
          .value();
  for (size_t size = 0; size < der.size(); ++size) {
    EXPECT_FALSE(CertificateRequest::Parse(der.substr(0, size)).ok());
    std::string changed = der;
    changed[size] = static_cast<char>(changed[size] ^ 0x55);
    const auto request = CertificateRequest::Parse(changed);
    EXPECT_FALSE(request.ok() && request->self_signature.ok()) << size;
  }
  EXPECT_FALSE(CertificateRequest::Parse(der + "x").ok());
  EXPECT_THAT(CertificateRequest::Parse(std::string(65 << 10, '0')),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("at most 65536")));
}

TEST(RequestTest, OpensslVerifiesOurs) {
  SKIP_WITHOUT_OPENSSL();
  const TempFolder folder;
  const std::string path = folder.path() + "/r.pem";
  for (KeyType type : kTypes) {
    const auto key = NewKey(type);
    for (const RequestTemplate& what :
         {RequestTemplate{.subject = {{"C", "US"}}, .uris = {}, .dns_names = {}},
          RequestTemplate{.subject = {}, .uris = {"spiffe://example.org/a"}, .dns_names = {"b"}}}) {
      Save(path, "CERTIFICATE REQUEST", MakeCertificateRequest(what, *key).value());
      const CommandResult result = RunOpenssl("req -verify -noout -in " + path);
      EXPECT_EQ(result.exit_code, 0) << result.output;
    }
  }
}

TEST(RequestTest, ReadsWhatOpensslWrites) {
  SKIP_WITHOUT_OPENSSL();
  const TempFolder folder;
  const std::string key = folder.path() + "/k.pem", path = folder.path() + "/r.pem";
  ASSERT_EQ(RunOpenssl("ecparam -genkey -noout -name secp384r1 -out " + key).exit_code, 0);
  const CommandResult made =
      RunOpenssl("req -new -sha384 -subj /C=US/O=A/emailAddress=x@y/CN=n -key " + key + " -out " +
                 path + " -addext subjectAltName=URI:spiffe://a/b,email:x@y,DNS:d");
  ASSERT_EQ(made.exit_code, 0) << made.output;
  const std::vector<PemBlock> blocks = ParsePem(ReadFile(path).value()).value();
  const auto request = CertificateRequest::Parse(blocks.at(0).der);
  ASSERT_OK(request);
  EXPECT_OK(request->self_signature);
  const DistinguishedName subject = {{"C", "US"}, {"O", "A"}, {"CN", "n"}};
  EXPECT_EQ(request->subject, subject);
  EXPECT_THAT(request->uris, ElementsAre("spiffe://a/b"));
  EXPECT_THAT(request->dns_names, ElementsAre("d"));
}

}  // namespace
}  // namespace assay::crypto
