// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/http_challenge.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/unique_fd.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;
using Json = nlohmann::json;

constexpr std::string_view kPath =
    "/.well-known/spiffe/nodeattestor/http_challenge/default/challenge";
constexpr std::string_view kChallenge = R"({"nonce":"bm9uY2U_-="})";

UniqueFd ConnectTo(uint16_t port) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected =
      connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  return connected ? std::move(fd) : UniqueFd();
}

// The whole answer to these bytes.
std::string Ask(uint16_t port, std::string_view request) {
  const UniqueFd fd = ConnectTo(port);
  EXPECT_TRUE(fd.valid());
  EXPECT_EQ(send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t size; (size = recv(fd.get(), buffer, sizeof(buffer), 0)) > 0;) {
    answer.append(buffer, static_cast<size_t>(size));
  }
  return answer;
}

std::string Get(std::string_view path) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: node\r\n\r\n", path);
}

struct Started {
  std::unique_ptr<NodeAttestation> attestation;
  Json payload;
  uint16_t port() const { return payload["port"].get<uint16_t>(); }
};
Started Start(HttpChallengeOptions options = {}) {
  options.hostname = options.hostname.empty() ? "node.example.org" : options.hostname;
  Started started{HttpChallengeAttestor(options).Begin().value(), {}};
  started.payload = Json::parse(started.attestation->Payload()->Reveal());
  return started;
}

TEST(HttpChallengeTest, SaysWhereTheNonceWillBe) {
  const Started started = Start();
  EXPECT_EQ(started.payload["hostname"], "node.example.org");
  EXPECT_EQ(started.payload["agentname"], "default");
  EXPECT_GT(started.port(), 0);
  EXPECT_EQ(Start({.advertised_port = 80}).port(), 80);
  const auto own = HttpChallengeAttestor({}).Begin().value()->Payload();
  EXPECT_NE(Json::parse(own->Reveal())["hostname"], "");
}

TEST(HttpChallengeTest, ServesTheNonceAtItsPathAlone) {
  const Started started = Start();
  EXPECT_EQ(started.attestation->Answer(kChallenge).value(), "\n");
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(Ask(started.port(), Get(kPath)),
                AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), EndsWith("\r\n\r\nbm9uY2U_-=\n")));
  }
  for (const std::string& other : {Get("/"), Get(std::string(kPath) + "/x"),
                                   "POST " + Get(kPath).substr(4), std::string(9000, 'a')}) {
    EXPECT_THAT(Ask(started.port(), other), StartsWith("HTTP/1.1 404 "));
  }
}

// A request that comes while the challenge is on its way waits.
TEST(HttpChallengeTest, ListensBeforeThePayloadIsShown) {
  const Started started = Start();
  const UniqueFd early = ConnectTo(started.port());
  ASSERT_TRUE(early.valid());
  ASSERT_OK(started.attestation->Answer(kChallenge));
  EXPECT_THAT(Ask(started.port(), Get(kPath)), HasSubstr("200 OK"));
}

TEST(HttpChallengeTest, CallersThatSayNothingDoNotHoldUpOthers) {
  const Started started = Start();
  ASSERT_OK(started.attestation->Answer(kChallenge));
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 20; ++i) {
    silent.push_back(ConnectTo(started.port()));
  }
  EXPECT_THAT(Ask(started.port(), Get(kPath)), HasSubstr("200 OK"));
}

TEST(HttpChallengeTest, StopsServingWithTheAttestation) {
  Started started = Start();
  const uint16_t port = started.port();
  ASSERT_OK(started.attestation->Answer(kChallenge));
  started.attestation.reset();
  EXPECT_FALSE(ConnectTo(port).valid());
}

TEST(HttpChallengeTest, RefusesWhatIsNoNonceAndASecondOne) {
  const Started started = Start();
  for (const std::string& bad :
       {std::string(), std::string("{}"), std::string(R"({"nonce":""})"),
        std::string(R"({"nonce":"a\r\nb"})"),
        fmt::format(R"({{"nonce":"{}"}})", std::string(65, 'a')), std::string(5000, ' ')}) {
    EXPECT_THAT(started.attestation->Answer(bad),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("challenge")))
        << bad;
  }
  ASSERT_OK(started.attestation->Answer(kChallenge));
  EXPECT_FALSE(started.attestation->Answer(kChallenge).ok());
}

TEST(HttpChallengeTest, SaysThatThePortIsTaken) {
  const Started started = Start();
  EXPECT_THAT(
      HttpChallengeAttestor({.hostname = "h", .port = started.port()}).Begin(),
      StatusIs(StatusCode::kUnavailable, HasSubstr(fmt::format("port {}", started.port()))));
}

}  // namespace
}  // namespace assay
