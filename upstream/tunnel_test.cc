// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/tunnel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

struct Pair {
  UniqueFd ours, theirs;
};
Pair MakePair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) {
    std::abort();
  }
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

class TunnelTest : public testing::Test {
 protected:
  std::shared_ptr<Tunnel> Start(absl::Duration handshake_timeout) {
    return Tunnel::Start(
        thread_->loop(), std::move(network_.ours), std::move(local_.ours),
        {.identity = nullptr,
         .verify_server = [](const std::vector<crypto::Certificate>&) { return absl::OkStatus(); },
         .handshake_timeout = handshake_timeout});
  }

  SystemClock clock_;
  Pair network_ = MakePair(), local_ = MakePair();
  std::unique_ptr<TunnelThread> thread_ = TunnelThread::Create(clock_).value();
};

TEST_F(TunnelTest, AServerThatSaysNothingIsGivenUp) {
  const auto tunnel = Start(absl::Milliseconds(20));
  EXPECT_THAT(tunnel->WaitUntilOpen(),
              StatusIs(StatusCode::kUnavailable, HasSubstr("tls handshake: no answer for 20ms")));
  EXPECT_FALSE(tunnel->alive());
}

TEST_F(TunnelTest, AServerThatClosesIsGivenUp) {
  network_.theirs.Reset();
  EXPECT_THAT(Start(absl::Seconds(10))->WaitUntilOpen(),
              StatusIs(StatusCode::kUnavailable, testing::_));
}

TEST_F(TunnelTest, AServerThatDoesNotSpeakTlsIsGivenUp) {
  constexpr std::string_view kAnswer = "HTTP/1.1 400 Bad Request\r\n\r\n";
  ASSERT_EQ(send(network_.theirs.get(), kAnswer.data(), kAnswer.size(), 0),
            static_cast<ssize_t>(kAnswer.size()));
  EXPECT_THAT(Start(absl::Seconds(10))->WaitUntilOpen(),
              StatusIs(StatusCode::kUnavailable, HasSubstr("tls handshake")));
}

TEST_F(TunnelTest, NothingPassesBeforeTheHandshake) {
  ASSERT_EQ(send(local_.theirs.get(), "secret", 6, 0), 6);
  const auto tunnel = Start(absl::Milliseconds(20));
  EXPECT_FALSE(tunnel->WaitUntilOpen().ok());
  std::string sent(4096, '\0');
  const ssize_t count = recv(network_.theirs.get(), sent.data(), sent.size(), 0);
  ASSERT_GT(count, 0);
  sent.resize(static_cast<size_t>(count));
  EXPECT_EQ(sent.find("secret"), std::string::npos);
}

TEST_F(TunnelTest, EndsWhenItIsClosed) {
  const auto tunnel = Start(absl::Seconds(10));
  tunnel->Close();
  EXPECT_THAT(tunnel->WaitUntilOpen(), StatusIs(StatusCode::kUnavailable, HasSubstr("closed")));
  EXPECT_OK(tunnel->failure());
}

}  // namespace
}  // namespace assay
