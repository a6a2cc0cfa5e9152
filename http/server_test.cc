// SPDX-License-Identifier: GPL-3.0-or-later
#include "http/server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/tcp_listener.h"

namespace assay::http {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// A server in this thread, whose loop runs while a caller waits.
class ServerTest : public testing::Test {
 protected:
  void Start(Server::Options options = {}) {
    if (!options.serve) {
      options.serve = [this](const Request& request, Server::Respond respond) {
        paths.push_back(request.path);
        respond({.body = "path " + request.path});
      };
    }
    server = std::make_unique<Server>(*loop, clock, std::move(options));
    UniqueFd listener = ListenOn(INADDR_LOOPBACK);
    Narrow(listener);
    socklen_t size = sizeof(address_);
    getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address_), &size);
    ASSERT_OK(server->Listen(std::move(listener)));
  }
  UniqueFd Connect() {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    Narrow(fd);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address_), sizeof(address_)), 0);
    Turn();
    return fd;
  }
  void Turn() {
    for (int i = 0; i < 20; ++i) {
      loop->RunOnce(absl::Milliseconds(1));
    }
  }
  // What comes until nothing more does.
  std::string Ask(const UniqueFd& fd, std::string_view bytes) {
    send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return Receive(fd);
  }
  std::string Receive(const UniqueFd& fd) {
    Turn();
    std::string answer;
    std::array<char, 4096> buffer;
    for (ssize_t size = 1; size > 0;) {
      size = recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      answer.append(buffer.data(), size > 0 ? static_cast<size_t>(size) : 0);
    }
    return answer;
  }
  bool IsClosed(const UniqueFd& fd) {
    Turn();
    char byte;
    return recv(fd.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
  }

  FakeClock clock;
  std::unique_ptr<EventLoop> loop = EventLoop::Create(clock).value();
  std::vector<std::string> paths;
  std::unique_ptr<Server> server;
  bool is_narrow = false;  // The kernel keeps little of what is not read.

 private:
  void Narrow(const UniqueFd& fd) const {
    const int bytes = 16 << 10;
    if (is_narrow) {
      setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
      setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    }
  }

  sockaddr_in address_{};
};

TEST_F(ServerTest, AnswersOneRequestAfterTheOtherOnAConnection) {
  Start();
  const UniqueFd fd = Connect();
  for (const std::string path : {"/live", "/ready"}) {
    EXPECT_THAT(Ask(fd, "GET " + path + "?full=1 HTTP/1.1\r\nHost: a\r\n\r\n"),
                AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("\r\nContent-Length: "),
                      HasSubstr("\r\nDate: "), EndsWith("\r\n\r\npath " + path)));
  }
  EXPECT_FALSE(IsClosed(fd));
}

TEST_F(ServerTest, AnswersRequestsThatComeTogetherInTheirOrder) {
  Start();
  const UniqueFd fd = Connect();
  std::string both = "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n";
  const std::string answer = Ask(fd, both);
  EXPECT_THAT(answer, AllOf(HasSubstr("path /1"), HasSubstr("path /2")));
  EXPECT_LT(answer.find("path /1"), answer.find("path /2"));
}

TEST_F(ServerTest, ReadsNoMoreWhileRequestsWaitThatCameTogether) {
  constexpr size_t kRequests = 10'000;
  is_narrow = true;
  Start();
  const UniqueFd fd = Connect();
  std::string asked, answers;
  for (size_t i = 0; i < kRequests; ++i) {
    asked += fmt::format("GET /{} HTTP/1.1\r\nHost: {}\r\n\r\n", i, std::string(64, 'h'));
  }
  std::string_view unsent = asked;
  size_t most_ahead = 0;  // Bytes that were sent of requests that were not served yet.
  std::array<char, 64 << 10> buffer;
  const auto send_and_receive = [&] {
    const ssize_t sent = send(fd.get(), unsent.data(), unsent.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    unsent.remove_prefix(sent > 0 ? static_cast<size_t>(sent) : 0);
    const size_t sent_bytes = asked.size() - unsent.size();
    most_ahead = std::max(
        most_ahead, sent_bytes - std::min(sent_bytes, paths.size() * asked.size() / kRequests));
    loop->RunOnce(absl::Milliseconds(1));
    const ssize_t got = recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    answers.append(buffer.data(), got > 0 ? static_cast<size_t>(got) : 0);
  };
  const std::string last = fmt::format("path /{}", kRequests - 1);
  for (size_t i = 0; i < 20 * kRequests && !answers.ends_with(last); ++i) {
    send_and_receive();
  }
  EXPECT_LT(most_ahead, 128u << 10);
  ASSERT_EQ(paths.size(), kRequests);
  size_t at = 0;
  for (size_t i = 0; i < kRequests; ++i) {
    EXPECT_EQ(paths[i], fmt::format("/{}", i));
    at = answers.find(fmt::format("path /{}", i), at);
    ASSERT_NE(at, std::string::npos) << i;
  }
}

TEST_F(ServerTest, ReadsARequestThatComesByteByByte) {
  Start();
  const UniqueFd fd = Connect();
  const std::string request = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
  for (char byte : request.substr(0, request.size() - 1)) {
    EXPECT_EQ(Ask(fd, std::string(1, byte)), "");
  }
  EXPECT_THAT(Ask(fd, "\n"), EndsWith("path /slow"));
}

TEST_F(ServerTest, AnswersHeadWithoutABodyAndOldRequestsByClosing) {
  Start();
  const UniqueFd head = Connect();
  EXPECT_THAT(Ask(head, "HEAD /h HTTP/1.1\r\n\r\n"),
              AllOf(HasSubstr("Content-Length: 7\r\n"), EndsWith("\r\n\r\n")));
  const UniqueFd old = Connect();
  EXPECT_THAT(Ask(old, "GET /o HTTP/1.0\r\n\r\n"), HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(IsClosed(old));
}

TEST_F(ServerTest, AnswersLaterAndNobodyWhoHasGone) {
  std::vector<Server::Respond> waiting;
  Start({.serve = [&](const Request&, Server::Respond respond) { waiting.push_back(respond); }});
  const UniqueFd stays = Connect();
  EXPECT_EQ(Ask(stays, "GET / HTTP/1.1\r\n\r\n"), "");
  {
    const UniqueFd gone = Connect();
    EXPECT_EQ(Ask(gone, "GET / HTTP/1.1\r\n\r\n"), "");
  }
  Turn();
  ASSERT_EQ(waiting.size(), 2u);
  waiting[1]({.body = "nobody"});
  waiting[0]({.code = 503, .body = "later"});
  waiting[0]({.body = "again"});
  EXPECT_THAT(Receive(stays), AllOf(StartsWith("HTTP/1.1 503 "), EndsWith("\r\n\r\nlater")));
  server.reset();
  waiting[0]({.body = "without a server"});
  Turn();
}

TEST_F(ServerTest, RefusesWhatIsNoRequestItServes) {
  Start();
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"POST /p HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405"},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"},
      {std::string("\x16\x03\x01\x02\x00\x01", 6), "400"},
      {"GET /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"},
      {"GET /x HTTP/1.1\r\nA: " + std::string(20'000, 'a') + "\r\n\r\n", "431"},
      {"GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\n\r\n", "431"},
  };
  for (const auto& [request, code] : bad) {
    const UniqueFd fd = Connect();
    EXPECT_THAT(Ask(fd, request), StartsWith("HTTP/1.1 " + code + " ")) << request.substr(0, 40);
    EXPECT_TRUE(IsClosed(fd));
  }
  EXPECT_THAT(paths, testing::IsEmpty());
}

TEST_F(ServerTest, TakesNoBodyForARequest) {
  Start();
  const UniqueFd fd = Connect();
  EXPECT_THAT(Ask(fd, "GET /a HTTP/1.1\r\nContent-Length: 22\r\n\r\nGET /b HTTP/1.1\r\n\r\n...."),
              AllOf(EndsWith("path /a"), HasSubstr("Connection: close")));
  EXPECT_TRUE(IsClosed(fd));
  EXPECT_THAT(paths, testing::ElementsAre("/a"));
}

TEST_F(ServerTest, ClosesWhoIsTooSlow) {
  Start();
  const UniqueFd silent = Connect();
  const UniqueFd slow = Connect();
  Ask(slow, "GET / HT");
  const UniqueFd idle = Connect();
  Ask(idle, "GET / HTTP/1.1\r\n\r\n");
  clock.Advance(absl::Seconds(11));
  EXPECT_TRUE(IsClosed(silent));
  EXPECT_TRUE(IsClosed(slow));
  EXPECT_FALSE(IsClosed(idle));
  clock.Advance(absl::Minutes(2));
  EXPECT_TRUE(IsClosed(idle));
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(ServerTest, EndsAConnectionThatIsOldWithAnAnswer) {
  Start();
  const UniqueFd fd = Connect();
  for (int minute = 0; minute < 5; ++minute) {
    EXPECT_THAT(Ask(fd, "GET /a HTTP/1.1\r\n\r\n"), Not(HasSubstr("Connection: close"))) << minute;
    clock.Advance(absl::Minutes(1));
    EXPECT_FALSE(IsClosed(fd));
  }
  EXPECT_THAT(Ask(fd, "GET /b HTTP/1.1\r\n\r\n"),
              AllOf(EndsWith("path /b"), HasSubstr("Connection: close")));
  EXPECT_TRUE(IsClosed(fd));
}

TEST_F(ServerTest, ClosesWhoDoesNotReadItsAnswer) {
  Start({.serve = [](const Request&, Server::Respond respond) {
    respond({.body = std::string(32 << 20, 'x')});
  }});
  const UniqueFd fd = Connect();
  const std::string request = "GET / HTTP/1.1\r\n\r\n";
  send(fd.get(), request.data(), request.size(), 0);
  Turn();
  EXPECT_EQ(server->connections(), 1u);
  clock.Advance(absl::Seconds(31));
  Turn();
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(ServerTest, SendsALongAnswerWhole) {
  Start({.serve = [](const Request&, Server::Respond respond) {
    respond({.body = std::string(8 << 20, 'x') + "end"});
  }});
  const UniqueFd fd = Connect();
  std::string answer = Ask(fd, "GET / HTTP/1.1\r\n\r\n");
  for (int i = 0; i < 1000 && !answer.ends_with("end"); ++i) {
    answer += Receive(fd);
  }
  EXPECT_THAT(answer.size(), testing::Gt(8u << 20));
  EXPECT_TRUE(answer.ends_with("xend"));
}

TEST_F(ServerTest, WhoComesWhenAllPlacesAreTakenHasThatOfWhoWaitsLongest) {
  for (const Limits& limits :
       {Limits{.max_connections_per_address = 3}, Limits{.max_connections = 3}}) {
    Start({.limits = limits});
    std::vector<UniqueFd> open;
    for (int i = 0; i < 3; ++i) {
      open.push_back(Connect());
      clock.Advance(absl::Seconds(1));
    }
    EXPECT_THAT(Ask(open[0], "GET /a HTTP/1.1\r\n\r\n"), EndsWith("path /a"));
    EXPECT_THAT(Ask(Connect(), "GET /b HTTP/1.1\r\n\r\n"), EndsWith("path /b"));
    EXPECT_TRUE(IsClosed(open[1])) << "it has waited longest";
    EXPECT_THAT(Ask(open[2], "GET /c HTTP/1.1\r\n\r\n"), EndsWith("path /c"));
    EXPECT_THAT(Ask(open[0], "GET /d HTTP/1.1\r\n\r\n"), EndsWith("path /d"));
  }
}

TEST_F(ServerTest, WhoeverIsServedKeepsItsPlace) {
  std::vector<Server::Respond> waiting;
  Start({.limits = {.max_connections_per_address = 2},
         .serve = [&](const Request&, Server::Respond respond) { waiting.push_back(respond); }});
  const UniqueFd first = Connect(), second = Connect();
  Ask(first, "GET / HTTP/1.1\r\n\r\n");
  Ask(second, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(IsClosed(Connect()));
  ASSERT_EQ(waiting.size(), 2u);
  waiting[0]({.body = "answer"});
  EXPECT_THAT(Receive(first), EndsWith("answer"));
}

TEST_F(ServerTest, EndsAConnectionWithItsAnswerWhenItIsToBeShort) {
  Start({.keep_alive = false});
  const UniqueFd fd = Connect();
  EXPECT_THAT(Ask(fd, "GET /a HTTP/1.1\r\n\r\n"),
              AllOf(EndsWith("path /a"), HasSubstr("Connection: close\r\n")));
  EXPECT_TRUE(IsClosed(fd));
}

}  // namespace
}  // namespace assay::http
