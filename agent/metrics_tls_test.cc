// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/metrics_tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "crypto/issue.h"
#include "crypto/pem.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_ca.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::_;
using testing::HasSubstr;

PrometheusConfig::Tls WithSvid() {
  PrometheusConfig::Tls tls;
  tls.enabled = tls.use_spire_svid = true;
  return tls;
}

PrometheusConfig::Tls WithFiles(const std::string& cert_file, const std::string& key_file) {
  PrometheusConfig::Tls tls;
  tls.enabled = true;
  tls.cert_file = cert_file;
  tls.key_file = key_file;
  return tls;
}

class MetricsTlsTest : public testing::Test {
 protected:
  absl::Status Judge(MetricsTls& tls, const X509Svid& caller) {
    const auto options = tls.Options();
    return options.ok() ? options->verify_client(caller.chain) : options.status();
  }
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = folder.path() + "/" + name;
    EXPECT_OK(WriteFileAtomically(path, text, 0600));
    return path;
  }

  FakeClock clock{absl::Now()};
  TempFolder folder;
  TestCa ca, foreign{"foreign.test"};
};

TEST_F(MetricsTlsTest, ShowsTheAgentsSvidAsItIsNow) {
  MetricsTls tls(WithSvid(), clock);
  EXPECT_FALSE(tls.needs_client_certificate());
  EXPECT_THAT(tls.Options(), StatusIs(StatusCode::kUnavailable, HasSubstr("no SVID yet")));
  for (int i = 0; i < 2; ++i) {
    const X509Svid svid = ca.IssueSvid(TestId("spiffe://example.org/agent"));
    tls.SetSvid(svid);
    const auto options = tls.Options();
    ASSERT_OK(options);
    EXPECT_EQ(options->identity.chain.front().der(), svid.leaf().der());
    EXPECT_EQ(options->protocol, crypto::TlsConnection::ServerOptions::Protocol::kHttp1);
  }
}

TEST_F(MetricsTlsTest, TellsThoseAloneWhoAreAuthorized) {
  PrometheusConfig::Tls config = WithSvid();
  config.authorized_spiffe_ids = {"spiffe://example.org/prom", "spiffe://foreign.test/p"};
  MetricsTls tls(config, clock);
  EXPECT_TRUE(tls.needs_client_certificate());
  tls.SetSvid(ca.IssueSvid(TestId("spiffe://example.org/agent")));
  const X509Svid good = ca.IssueSvid(TestId("spiffe://example.org/prom"));
  EXPECT_THAT(Judge(tls, good), StatusIs(StatusCode::kUnavailable, HasSubstr("is not known")));
  tls.SetBundles({{"example.org", ca.Bundle()}, {"foreign.test", foreign.Bundle()}});
  EXPECT_OK(Judge(tls, good));
  EXPECT_OK(Judge(tls, foreign.IssueSvid(TestId("spiffe://foreign.test/p"))));
  EXPECT_THAT(Judge(tls, ca.IssueSvid(TestId("spiffe://example.org/other"))),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("authorized_spiffe_ids")));
  EXPECT_FALSE(Judge(tls, foreign.IssueSvid(TestId("spiffe://example.org/prom"))).ok());
  clock.Advance(absl::Hours(2));
  EXPECT_FALSE(Judge(tls, good).ok()) << "it has expired";
}

TEST_F(MetricsTlsTest, TellsNobodyWhereNoAuthorizedIdIsOne) {
  PrometheusConfig::Tls config = WithSvid();
  config.authorized_spiffe_ids = {"prometheus"};
  MetricsTls tls(config, clock);
  EXPECT_TRUE(tls.needs_client_certificate());
  tls.SetSvid(ca.IssueSvid(TestId("spiffe://example.org/agent")));
  tls.SetBundles({{"example.org", ca.Bundle()}});
  EXPECT_THAT(Judge(tls, ca.IssueSvid(TestId("spiffe://example.org/prom"))),
              StatusIs(StatusCode::kPermissionDenied, _));
}

TEST_F(MetricsTlsTest, ReadsFilesAnewAndServesOnWhileTheyAreWrong) {
  const X509Svid first = ca.IssueSvid(TestId("spiffe://example.org/web"));
  const auto pem = [](const X509Svid& svid) {
    return crypto::PemEncode("CERTIFICATE", svid.leaf().der());
  };
  const auto key = [](const X509Svid& svid) {
    const auto* held = dynamic_cast<const crypto::PrivateKey*>(svid.key.get());
    return crypto::PemEncode("PRIVATE KEY", held->pkcs8().Reveal());
  };
  const std::string cert_file = Write("c", pem(first)), key_file = Write("k", key(first));
  MetricsTls tls(WithFiles(cert_file, key_file), clock);
  ASSERT_OK(tls.Options());
  EXPECT_EQ(tls.Options()->identity.chain.front().der(), first.leaf().der());
  const X509Svid second = ca.IssueSvid(TestId("spiffe://example.org/web"));
  Write("c", pem(second));
  testing::internal::CaptureStdout();
  for (int i = 0; i < 2; ++i) {
    clock.Advance(absl::Seconds(11));
    EXPECT_EQ(tls.Options()->identity.chain.front().der(), first.leaf().der()) << "of another key";
  }
  const std::string logged = testing::internal::GetCapturedStdout();
  EXPECT_THAT(logged, HasSubstr("holds no key of the first certificate"));
  EXPECT_EQ(logged.find("level=warn"), logged.rfind("level=warn")) << "once";
  Write("k", key(second));
  clock.Advance(absl::Seconds(11));
  EXPECT_EQ(tls.Options()->identity.chain.front().der(), second.leaf().der());
  MetricsTls broken(WithFiles(cert_file, cert_file), clock);
  EXPECT_FALSE(broken.Options().ok());
}

TEST_F(MetricsTlsTest, TakesCallersOfTheClientsAuthority) {
  const std::string ca_file = Write("ca", crypto::PemEncode("CERTIFICATE", ca.certificate().der()));
  PrometheusConfig::Tls config = WithSvid();
  config.client_ca_file = ca_file;
  MetricsTls tls(config, clock);
  tls.SetSvid(ca.IssueSvid(TestId("spiffe://example.org/agent")));
  EXPECT_TRUE(tls.needs_client_certificate());
  EXPECT_OK(Judge(tls, ca.IssueSvid(TestId("spiffe://example.org/any"))));
  EXPECT_FALSE(Judge(tls, foreign.IssueSvid(TestId("spiffe://foreign.test/any"))).ok());
  X509Svid of_a_server = ca.IssueSvid(TestId("spiffe://example.org/any"));
  const auto der =
      crypto::IssueCertificate({.serial = crypto::RandomSerial(),
                                .subject = {{"CN", "server"}},
                                .not_before = clock.Now() - absl::Hours(1),
                                .not_after = clock.Now() + absl::Hours(1),
                                .uris = {},
                                .dns_names = {},
                                .key_usage = crypto::kDigitalSignature,
                                .extended_key_usage = {std::string(crypto::kServerAuth)}},
                               of_a_server.key->public_key(), &ca.certificate(), ca.key());
  ASSERT_OK(der);
  of_a_server.chain = {crypto::Certificate::Parse(*der).value()};
  EXPECT_THAT(Judge(tls, of_a_server), StatusIs(StatusCode::kPermissionDenied, HasSubstr("TLS")));
}

}  // namespace
}  // namespace assay
