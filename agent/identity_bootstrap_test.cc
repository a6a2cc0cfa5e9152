// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_bootstrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "crypto/pem.h"
#include "spiffe/workload.pb.h"
#include "tests/support/fake_http_server.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_ca.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

const BootstrapAttempt kFirst{.number = 1, .since = absl::FromUnixSeconds(1'800'000'000)};

class BootstrapSourceTest : public testing::Test {
 protected:
  BootstrapSource::Options Options() const {
    return {.trust_domain = ca_.trust_domain(), .server_address = "s", .server_port = 8081};
  }
  std::string Pem() const { return crypto::PemEncode("CERTIFICATE", ca_.certificate().der()); }
  std::string Write(std::string_view text) const {
    const std::string path = folder_.path() + "/bundle";
    EXPECT_OK(WriteFileAtomically(path, text, 0600));
    return path;
  }

  const TestCa ca_;
  const TempFolder folder_;
};

TEST_F(BootstrapSourceTest, ReadsAFileOfEitherFormat) {
  BootstrapSource::Options options = Options();
  options.path = Write(Pem());
  EXPECT_EQ(BootstrapSource(options).Fetch(kFirst).value()->Roots(), ca_.Bundle().Roots());
  options.format = BundleFormat::kSpiffe;
  EXPECT_FALSE(BootstrapSource(options).Fetch(kFirst).ok());
  options.path = Write(ToBundleDocument(ca_.Bundle()));
  EXPECT_EQ(BootstrapSource(options).Fetch(kFirst).value()->Roots(), ca_.Bundle().Roots());
}

TEST_F(BootstrapSourceTest, SaysWhatIsWrongWithAFile) {
  BootstrapSource::Options options = Options();
  options.path = folder_.path() + "/none";
  EXPECT_THAT(BootstrapSource(options).Fetch(kFirst),
              StatusIs(StatusCode::kNotFound, HasSubstr("could not parse trust bundle")));
  options.path = Write("{\"keys\":[]}");
  options.format = BundleFormat::kSpiffe;
  EXPECT_THAT(BootstrapSource(options).Fetch(kFirst),
              StatusIs(StatusCode::kInvalidArgument, "no certificates found in trust bundle"));
}

TEST_F(BootstrapSourceTest, WithoutASourceAnyUpstreamIsTrusted) {
  EXPECT_EQ(BootstrapSource(Options()).Fetch(kFirst).value(), std::nullopt);
}

TEST_F(BootstrapSourceTest, TellsTheServerOnAUnixSocketWhoAsks) {
  BootstrapSource::Options options = Options();
  options.unix_socket = folder_.path() + "/http";
  options.url = "http://localhost/b?x=y#z";
  const FakeHttpServer server(options.unix_socket, "HTTP/1.1 200 OK\r\n\r\n" + Pem());
  const BootstrapSource source(options);
  EXPECT_EQ(source.Fetch(kFirst).value()->Roots(), ca_.Bundle().Roots());
  BootstrapAttempt again = kFirst;
  again.again = true;
  again.number = 12;
  EXPECT_OK(source.Fetch(again));
  const std::string rest =
      "&spire-attest-start-time=2027-01-15T08%3A00%3A00Z&spire-server-address=s"
      "&spire-server-port=8081&spiffe-trust-domain=example.org HTTP/1.1";
  EXPECT_THAT(
      server.requests(),
      ElementsAre("GET /b?x=y&spire-attest-mode=bootstrap&spire-connection-attempts=1" + rest,
                  "GET /b?x=y&spire-attest-mode=rebootstrap&spire-connection-attempts=12" + rest));
}

TEST_F(BootstrapSourceTest, AnAnswerThatIsNoBundleIsAnError) {
  BootstrapSource::Options options = Options();
  options.unix_socket = folder_.path() + "/http";
  options.url = "http://localhost/b";
  FakeHttpServer server(options.unix_socket, "HTTP/1.1 200 OK\r\n\r\ngarbage");
  EXPECT_FALSE(BootstrapSource(options).Fetch(kFirst).ok());
  server.Answer("HTTP/1.1 500 Oh\r\n\r\n" + Pem());
  EXPECT_THAT(BootstrapSource(options).Fetch(kFirst),
              StatusIs(StatusCode::kUnavailable, HasSubstr("status 500")));
}

TEST_F(BootstrapSourceTest, SaysThatTheWorkloadApiIsNotThere) {
  BootstrapSource::Options options = Options();
  options.workload_api = "unix://" + folder_.path() + "/none";
  EXPECT_THAT(
      BootstrapSource(options).Fetch(kFirst),
      StatusIs(StatusCode::kUnavailable, HasSubstr("unable to fetch trust bundle from SPIFFE")));
}

}  // namespace
}  // namespace assay
