// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/http_challenge.h"

#include <absl/time/time.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "attestors/node/challenge_server.h"
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

bool Connect(const UniqueFd& fd, uint16_t port, in_addr to = {htonl(INADDR_LOOPBACK)}) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr = to;
  return connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
}

UniqueFd ConnectTo(uint16_t port, in_addr to = {htonl(INADDR_LOOPBACK)}) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return Connect(fd, port, to) ? std::move(fd) : UniqueFd();
}

// One of this machine's addresses that is not loopback, from which it then calls itself.
std::optional<in_addr> OtherAddress() {
  std::optional<in_addr> found;
  ifaddrs* all = nullptr;
  EXPECT_EQ(getifaddrs(&all), 0);
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr != nullptr && one->ifa_addr->sa_family == AF_INET &&
        (one->ifa_flags & IFF_LOOPBACK) == 0) {
      found = reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr;
    }
  }
  freeifaddrs(all);
  return found;
}

void Send(const UniqueFd& fd, std::string_view request) {
  EXPECT_EQ(send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
}

// All that comes until the other side ends.
std::string Receive(const UniqueFd& fd) {
  std::string answer;
  char buffer[4096];
  for (ssize_t size; (size = recv(fd.get(), buffer, sizeof(buffer), 0)) > 0;) {
    answer.append(buffer, static_cast<size_t>(size));
  }
  return answer;
}

// The whole answer to these bytes.
std::string Ask(uint16_t port, std::string_view request) {
  const UniqueFd fd = ConnectTo(port);
  EXPECT_TRUE(fd.valid());
  Send(fd, request);
  return Receive(fd);
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
  Send(early, Get(kPath));
  ASSERT_OK(started.attestation->Answer(kChallenge));
  EXPECT_THAT(Receive(early), HasSubstr("200 OK"));
}

TEST(HttpChallengeTest, CallersThatSayNothingDoNotHoldUpOthers) {
  const Started started = Start();
  ASSERT_OK(started.attestation->Answer(kChallenge));
  std::vector<UniqueFd> silent;
  for (size_t i = 0; i < ChallengeServer::kMaxCallers + 8; ++i) {
    silent.push_back(ConnectTo(started.port()));
  }
  EXPECT_THAT(Ask(started.port(), Get(kPath)), HasSubstr("200 OK"));
  EXPECT_EQ(Receive(silent.front()), "");
}

// Half a request of one address, and silence of many callers of another.
TEST(HttpChallengeTest, CallersOfOneAddressDoNotPushOutThoseOfAnother) {
  const std::optional<in_addr> other = OtherAddress();
  if (!other.has_value()) {
    GTEST_SKIP() << "this machine has no address but loopback";
  }
  const in_addr loopback = {htonl(INADDR_LOOPBACK)};
  for (const auto& [one, many] : {std::pair(*other, loopback), std::pair(loopback, *other)}) {
    const Started started = Start();
    ASSERT_OK(started.attestation->Answer(kChallenge));
    const std::string request = Get(kPath);
    const UniqueFd caller = ConnectTo(started.port(), one);
    Send(caller, request.substr(0, 10));
    std::vector<UniqueFd> silent;
    for (size_t i = 0; i < ChallengeServer::kMaxCallers + 8; ++i) {
      silent.push_back(ConnectTo(started.port(), many));
    }
    EXPECT_EQ(Receive(silent.front()), "");
    Send(caller, request.substr(10));
    EXPECT_THAT(Receive(caller), HasSubstr("200 OK"));
  }
}

TEST(HttpChallengeTest, FewCallersOfThisMachineAreServedAtATime) {
  const Started started = Start();
  ASSERT_OK(started.attestation->Answer(kChallenge));
  std::vector<UniqueFd> silent;
  for (size_t i = 0; i <= ChallengeServer::kMaxLoopbackCallers; ++i) {
    silent.push_back(ConnectTo(started.port()));
  }
  EXPECT_EQ(Receive(silent.front()), "");
  Send(silent.back(), Get(kPath));
  EXPECT_THAT(Receive(silent.back()), HasSubstr("200 OK"));
}

// The processor's time that this process has taken.
absl::Duration ProcessorTime() {
  timespec time{};
  EXPECT_EQ(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time), 0);
  return absl::DurationFromTimespec(time);
}

TEST(HttpChallengeTest, WaitsForADescriptorWithoutSpinning) {
  const Started started = Start();
  ASSERT_OK(started.attestation->Answer(kChallenge));
  const UniqueFd caller(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{.tv_sec = 0, .tv_usec = 400'000};
  ASSERT_EQ(setsockopt(caller.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{.rlim_cur = 64, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<UniqueFd> all;
  for (int fd; (fd = fcntl(caller.get(), F_DUPFD_CLOEXEC, 0)) >= 0;) {
    all.emplace_back(fd);
  }
  ASSERT_TRUE(Connect(caller, started.port()));
  Send(caller, Get(kPath));
  const absl::Duration busy = ProcessorTime();
  EXPECT_EQ(Receive(caller), "");
  EXPECT_LT(ProcessorTime() - busy, absl::Milliseconds(200));
  all.clear();
  EXPECT_THAT(Receive(caller), HasSubstr("200 OK"));
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
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
  EXPECT_THAT(started.attestation->Answer(kChallenge),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("a second challenge")));
}

TEST(HttpChallengeTest, SaysThatThePortIsTaken) {
  const Started started = Start();
  EXPECT_THAT(
      HttpChallengeAttestor({.hostname = "h", .port = started.port()}).Begin(),
      StatusIs(StatusCode::kUnavailable, HasSubstr(fmt::format("port {}", started.port()))));
}

}  // namespace
}  // namespace assay
