// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/sandbox/channel.h"

#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/fake_clock.h"

namespace assay {
namespace {

using google::protobuf::BytesValue;

BytesValue Text(std::string text) {
  BytesValue value;
  value.set_value(std::move(text));
  return value;
}

// One end is a Channel, the other a bare descriptor in the test's hands.
struct Ends {
  FakeClock clock;
  std::unique_ptr<EventLoop> loop = *EventLoop::Create(clock);
  UniqueFd other;
  std::vector<std::string> received;
  UniqueFd received_fd;
  absl::Status closed;
  std::unique_ptr<Channel> channel;

  Ends() {
    auto pair = *Channel::MakePair();
    other = std::move(pair.second);
    channel = *Channel::Create(
        *loop, std::move(pair.first),
        [this](std::string_view bytes, UniqueFd fd) {
          received.emplace_back(bytes);
          received_fd = std::move(fd);
        },
        [this](const absl::Status& why) { closed = why; });
  }
  void Run() { loop->RunOnce(absl::ZeroDuration()); }
};

TEST(ChannelTest, CarriesAMessageAndItsDescriptor) {
  Ends a;
  auto far = *Channel::Create(
      *a.loop, std::move(a.other), [](std::string_view, UniqueFd) {}, [](const absl::Status&) {});
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  ASSERT_TRUE(far->Send(Text("hello"), pipe_fds[1]).ok());
  a.Run();
  ASSERT_EQ(a.received.size(), 1u);
  EXPECT_EQ(a.received[0], Text("hello").SerializeAsString());
  EXPECT_EQ(write(a.received_fd.get(), "x", 1), 1);
}

TEST(ChannelTest, QueuesInOrderWhatTheOtherEndDoesNotReadYet) {
  Ends a;
  const int count = 64;
  for (int i = 0; i < count; ++i) {
    ASSERT_TRUE(a.channel->Send(Text(std::string(60000, static_cast<char>('a' + i % 26)))).ok());
  }
  EXPECT_GT(a.channel->queued_bytes(), 0u);
  std::vector<char> buffer(Channel::kMaxMessageBytes);
  for (int i = 0; i < count; ++i) {
    a.Run();
    const ssize_t got = recv(a.other.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    ASSERT_GT(got, 60000);
    EXPECT_EQ(buffer[static_cast<size_t>(got) - 1], static_cast<char>('a' + i % 26));
  }
  EXPECT_EQ(a.channel->queued_bytes(), 0u);
}

TEST(ChannelTest, AMessageOverTheCapIsRefusedBeforeItIsSent) {
  Ends a;
  EXPECT_EQ(a.channel->Send(Text(std::string(Channel::kMaxMessageBytes, 'a'))).code(),
            absl::StatusCode::kInternal);
}

TEST(ChannelTest, AnOverlongPacketEndsTheChannel) {
  Ends a;
  const std::string packet(Channel::kMaxMessageBytes + 1, 'a');
  ASSERT_GT(send(a.other.get(), packet.data(), packet.size(), 0), 0);
  a.Run();
  EXPECT_EQ(a.closed.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(a.received.empty());
}

TEST(ChannelTest, TellsOnceThatTheOtherEndIsGone) {
  Ends a;
  a.other.Reset();
  a.Run();
  EXPECT_EQ(a.closed.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(a.channel->Send(Text("late")).ok());
}

}  // namespace
}  // namespace assay
