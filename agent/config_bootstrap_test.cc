// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_bootstrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> ErrorsOf(const AgentConfig& config) {
  ConfigReport report("f");
  CheckBootstrap(config, report);
  return report.errors();
}

AgentConfig With(std::string path, std::string url = {}, std::string socket = {},
                 std::string api = {}) {
  AgentConfig config;
  config.trust_bundle_path = std::move(path);
  config.trust_bundle_url = std::move(url);
  config.trust_bundle_unix_socket = std::move(socket);
  config.trust_bundle_spiffe_workload_api = std::move(api);
  return config;
}

TEST(ConfigBootstrapTest, EachWayAloneIsFine) {
  AgentConfig insecure;
  insecure.insecure_bootstrap = true;
  EXPECT_THAT(ErrorsOf(insecure), IsEmpty());
  EXPECT_THAT(ErrorsOf(With("/b.pem")), IsEmpty());
  EXPECT_THAT(ErrorsOf(With("", "https://h/b")), IsEmpty());
  EXPECT_THAT(ErrorsOf(With("", "http://h/b?x=spire-y", "/s")), IsEmpty());
  EXPECT_THAT(ErrorsOf(With("", "", "", "unix:///s")), IsEmpty());
}

TEST(ConfigBootstrapTest, TwoWaysAreNone) {
  EXPECT_THAT(ErrorsOf(With("")), ElementsAre(HasSubstr("must be configured unless")));
  EXPECT_THAT(ErrorsOf(With("/b", "https://h")),
              ElementsAre("only one of trust_bundle_url or trust_bundle_path can be specified, not "
                          "both"));
  EXPECT_THAT(ErrorsOf(With("/b", "", "", "unix:///s")),
              ElementsAre("only one of trust_bundle_path or trust_bundle_spiffe_workload_api can "
                          "be specified, not both"));
  AgentConfig all = With("/b", "https://h", "", "unix:///s");
  all.insecure_bootstrap = true;
  all.rebootstrap_mode = RebootstrapMode::kAuto;
  EXPECT_THAT(ErrorsOf(all),
              ElementsAre("only one of insecure_bootstrap, trust_bundle_url, trust_bundle_path, "
                          "trust_bundle_spiffe_workload_api can be specified",
                          "insecure_bootstrap option can not be used with rebootstrapping"));
}

TEST(ConfigBootstrapTest, TheUrlFitsTheWayItIsFetched) {
  EXPECT_THAT(ErrorsOf(With("", "http://h")),
              ElementsAre("trust bundle URL must start with https://"));
  EXPECT_THAT(ErrorsOf(With("", "https://h", "/s")),
              ElementsAre(HasSubstr("must start with http:// when used with")));
  EXPECT_THAT(ErrorsOf(With("", "h")), ElementsAre(HasSubstr("unable to parse")));
  EXPECT_THAT(ErrorsOf(With("", "http://h/?a=1&spire-x=1&spiffe-y", "/s")),
              ElementsAre("trust_bundle_url query params can not start with spiffe-",
                          "trust_bundle_url query params can not start with spire-"));
  EXPECT_THAT(ErrorsOf(With("/b", "", "/s")), ElementsAre(HasSubstr("so must be")));
  EXPECT_THAT(ErrorsOf(With("", "", "/s", "unix:///a")),
              ElementsAre(HasSubstr("so must be"), HasSubstr("can not be used with")));
}

TEST(ConfigBootstrapTest, ReadsTheAddressOfAWorkloadApi) {
  // WLEP-13 WLEP-14 WLEP-15
  EXPECT_EQ(WorkloadApiTarget("unix:///run/a.sock").value(), "unix:/run/a.sock");
  EXPECT_EQ(WorkloadApiTarget("unix:/run/a.sock").value(), "unix:/run/a.sock");
  EXPECT_EQ(WorkloadApiTarget("tcp://127.0.0.1:80").value(), "ipv4:127.0.0.1:80");
  EXPECT_EQ(WorkloadApiTarget("tcp://[::1]:80").value(), "ipv6:[::1]:80");
  for (const char* bad : {"",
                          "/run/a.sock",
                          "unix:",
                          "unix://",
                          "unix://host/a",
                          "unix:a",
                          "unix:///a?x",
                          "unix:///a#f",
                          "unix://u@/a",
                          "http://127.0.0.1:1",
                          "unix-abstract:x",
                          "tcp:127.0.0.1:80",
                          "tcp://:80",
                          "tcp://127.0.0.1:",
                          "tcp://127.0.0.1:1/",
                          "tcp://127.0.0.1:1?x",
                          "tcp://127.0.0.1:1#f",
                          "tcp://",
                          "tcp://h:1",
                          "tcp://::1:80",
                          "tcp://127.0.0.1",
                          "tcp://127.0.0.1:0",
                          "tcp://127.0.0.1:65536",
                          "tcp://127.0.0.1:1/p"}) {
    EXPECT_THAT(WorkloadApiTarget(bad), StatusIs(absl::StatusCode::kInvalidArgument, testing::_))
        << bad;
  }
  EXPECT_THAT(ErrorsOf(With("", "", "", "x")), ElementsAre(HasSubstr("is not a valid SPIFFE")));
}

}  // namespace
}  // namespace assay
