// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/handshake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>
#include <string>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::HasSubstr;

TEST(HandshakeTest, TakesAUnixSocket) {
  for (const char* line : {"1|1|unix|/tmp/plugin1|grpc", "1|1|unix|/tmp/plugin1|grpc|",
                           " 1|1|unix|/tmp/plugin1|grpc||true \r"}) {
    const absl::StatusOr<PluginAddress> address = ParseHandshake(line);
    ASSERT_OK(address.status()) << line;
    sockaddr_un unix_address{};
    memcpy(&unix_address, &address->storage, sizeof(unix_address));
    EXPECT_EQ(unix_address.sun_family, AF_UNIX);
    EXPECT_STREQ(unix_address.sun_path, "/tmp/plugin1");
  }
}

TEST(HandshakeTest, TakesAPortOfTheLoopback) {
  for (const char* host : {"127.0.0.1", "127.5.6.7", "localhost", "[::1]"}) {
    const absl::StatusOr<PluginAddress> address =
        ParseHandshake(fmt::format("1|1|tcp|{}:10007|grpc", host));
    ASSERT_OK(address.status()) << host;
    sockaddr_in ipv4{};
    memcpy(&ipv4, &address->storage, sizeof(ipv4));
    EXPECT_EQ(ntohs(ipv4.sin_port), 10007);
  }
}

TEST(HandshakeTest, RefusesWhatDoesNotFit) {
  const struct {
    std::string line;
    const char* words;
  } kCases[] = {
      {"", "it is no plugin"},
      {"hello", "it is no plugin"},
      {"1|1|unix", "it is no plugin"},
      {"1|1|unix|/s|grpc|" + std::string(kMaxHandshakeBytes, ' '), "it is no plugin"},
      {"2|1|unix|/s|grpc", "speaks version \"2\""},
      {"1|2|unix|/s|grpc", "and \"2\" of SPIRE's"},
      {"1|1|unix|/s", "speaks \"netrpc\""},
      {"1|1|unix|/s|netrpc", "speaks \"netrpc\""},
      {"1|1|unix|/s|grpc|" + std::string(51, 'A'), "wants TLS"},
      {"1|1|unix||grpc", "no path"},
      {"1|1|unix|" + std::string(108, 'a') + "|grpc", "no path"},
      {"1|1|pipe|/s|grpc", "network \"pipe\""},
      {"1|1|tcp|10.0.0.1:80|grpc", "loopback"},
      {"1|1|tcp|example.org:80|grpc", "loopback"},
      {"1|1|tcp|127.0.0.1:0|grpc", "loopback"},
      {"1|1|tcp|127.0.0.1:65536|grpc", "loopback"},
      {"1|1|tcp|127.0.0.1:1x|grpc", "loopback"},
      {"1|1|tcp|127.0.0.1|grpc", "loopback"},
      {"1|1|tcp|[::2]:80|grpc", "loopback"},
  };
  for (const auto& [line, words] : kCases) {
    EXPECT_THAT(ParseHandshake(line).status(),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(words)))
        << line;
  }
}

}  // namespace
}  // namespace assay
