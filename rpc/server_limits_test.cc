// SPDX-License-Identifier: GPL-3.0-or-later
// What a server does with callers that are hostile, greedy or silent: each costs a bounded amount,
// and none harms another.
#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <set>

#include "rpc/descriptor_limit.h"
#include "rpc/server.h"
#include "tests/support/test_server.h"

namespace assay::rpc {
namespace {

using google::protobuf::StringValue;

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

std::string FrameBytes(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string bytes;
  for (int shift = 16; shift >= 0; shift -= 8) {
    bytes += static_cast<char>(payload.size() >> shift);
  }
  bytes += static_cast<char>(type);
  bytes += static_cast<char>(flags);
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes += static_cast<char>(stream >> shift);
  }
  return bytes.append(payload);
}

std::string Settings() { return FrameBytes(NGHTTP2_SETTINGS, 0, 0, ""); }

// A complete gRPC request's header block, without a dynamic table: literals only.
std::string HeaderBlock() {
  std::string block;
  for (const auto& [name, value] : Http2Client::GrpcHeaders("/test.Hold/Open")) {
    block += '\0';
    block += static_cast<char>(name.size());
    block += name;
    block += static_cast<char>(value.size());
    block += value;
  }
  return block;
}

class ServerLimitsTest : public testing::Test {
 protected:
  class Holder final : public CallHandler {
   public:
    explicit Holder(int& messages) : messages_(messages) {}
    void OnMessage(std::string_view) override { ++messages_; }

   private:
    int& messages_;
  };

  ServerLimitsTest() {
    server_.registry.Add("/test.Echo/Say", Unary<StringValue>([](Call&, const StringValue& request,
                                                                 const Responder& responder) {
                           responder.Reply(request);
                         }));
    server_.registry.Add("/test.Hold/Open", [this](Call& call) {
      calls_.push_back(&call);
      return std::make_unique<Holder>(messages_);
    });
  }

  // Sends bytes as they are, and runs the server until it has dealt with them; what it answered.
  std::string Exchange(const UniqueFd& fd, std::string_view bytes) {
    std::string answer;
    size_t sent = 0;
    for (int idle = 0; idle < 5; ++idle) {
      if (sent < bytes.size()) {
        const ssize_t size =
            send(fd.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        idle = size > 0 ? 0 : idle;
        sent += size > 0 ? static_cast<size_t>(size) : 0;
      }
      server_.pump()();
      char buffer[64 << 10];
      const ssize_t size = recv(fd.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
      if (size > 0) {
        answer.append(buffer, static_cast<size_t>(size));
        idle = 0;
      }
    }
    return answer;
  }
  // Whether the server has closed it.
  static bool Closed(const UniqueFd& fd) {
    char byte = 0;
    const ssize_t size = recv(fd.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return size == 0 || (size < 0 && errno != EAGAIN);
  }
  static bool HasGoaway(const std::string& answer, uint32_t code) {
    size_t at = 0;
    while (answer.size() - at >= 9) {
      const auto byte = [&](size_t i) {
        return static_cast<uint32_t>(static_cast<unsigned char>(answer[at + i]));
      };
      const size_t size = byte(0) << 16 | byte(1) << 8 | byte(2);
      if (byte(3) == NGHTTP2_GOAWAY && answer.size() - at >= 17) {
        return (byte(13) << 24 | byte(14) << 16 | byte(15) << 8 | byte(16)) == code;
      }
      at += 9 + size;
      if (at > answer.size()) {
        return false;
      }
    }
    return false;
  }
  // Another caller is served as if nothing had happened.
  void ExpectOthersServed() {
    auto other = server_.Connect();
    EXPECT_EQ(other->Call("/test.Echo/Say", "").status(), 0);
  }
  void ExpectCalmed(const std::string& flood) {
    const UniqueFd fd = ConnectUnix(server_.path());
    const std::string answer = Exchange(fd, std::string(kPreface) + Settings() + flood);
    EXPECT_TRUE(HasGoaway(answer, NGHTTP2_ENHANCE_YOUR_CALM));
    EXPECT_TRUE(Closed(fd));
    EXPECT_EQ(server_.server().connections(), 0u);
    ExpectOthersServed();
  }

  std::vector<Call*> calls_;
  int messages_ = 0;  // Of all of them.
  TestServer server_;
};

std::string Repeated(const std::string& frame, int times) {
  std::string bytes;
  for (int i = 0; i < times; ++i) {
    bytes += frame;
  }
  return bytes;
}

TEST_F(ServerLimitsTest, ClosesWhatDoesNotSpeakHttp2) {
  server_.Start();
  for (const std::string bytes :
       {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01", "PRI * HTTP/2.0\r\n\r\nXX"}) {
    const UniqueFd fd = ConnectUnix(server_.path());
    Exchange(fd, bytes);
    EXPECT_TRUE(Closed(fd)) << bytes;
  }
  ExpectOthersServed();
}

// Nobody is there to be answered.
TEST_F(ServerLimitsTest, ForgetsWhoHasGoneWithAllHeAsked) {
  server_.Start();
  UniqueFd gone = ConnectUnix(server_.path());
  Exchange(gone, std::string(kPreface) + Settings());
  const std::string call = FrameBytes(NGHTTP2_HEADERS, 4, 1, HeaderBlock());
  ASSERT_EQ(send(gone.get(), call.data(), call.size(), 0), static_cast<ssize_t>(call.size()));
  gone.Reset();
  server_.pump()();
  EXPECT_EQ(calls_.size(), 0u);
  EXPECT_EQ(server_.server().connections(), 0u);
}

TEST_F(ServerLimitsTest, ClosesConnectionsThatNeverCall) {
  server_.Start({.limits = {.handshake_timeout = absl::Seconds(10)}});
  const UniqueFd silent = ConnectUnix(server_.path());
  const UniqueFd half = ConnectUnix(server_.path());
  const UniqueFd pinging = ConnectUnix(server_.path());
  Exchange(half, kPreface.substr(0, 10));
  Exchange(pinging, std::string(kPreface) + Settings());
  auto calling = server_.Connect();
  EXPECT_EQ(calling->Call("/test.Echo/Say", "").status(), 0);
  server_.clock.Advance(absl::Seconds(9));
  Exchange(pinging, FrameBytes(NGHTTP2_PING, 0, 0, "12345678"));
  EXPECT_EQ(server_.server().connections(), 4u);
  server_.clock.Advance(absl::Seconds(1));
  EXPECT_TRUE(HasGoaway(Exchange(pinging, ""), NGHTTP2_NO_ERROR));
  Exchange(half, "");
  EXPECT_EQ(Exchange(silent, ""), "") << "who says nothing is told nothing";
  EXPECT_TRUE(Closed(silent));
  EXPECT_TRUE(Closed(half));
  EXPECT_TRUE(Closed(pinging));
  EXPECT_EQ(server_.server().connections(), 1u);
  EXPECT_EQ(calling->Call("/test.Echo/Say", "").status(), 0);
}

TEST_F(ServerLimitsTest, ClosesIdleConnectionsButNoneWithACall) {
  server_.Start({.limits = {.idle_timeout = absl::Seconds(60)}});
  auto idle = server_.Connect();
  auto busy = server_.Connect();
  EXPECT_EQ(idle->Call("/test.Echo/Say", "").status(), 0);
  EXPECT_EQ(busy->Call("/test.Echo/Say", "").status(), 0);
  busy->Start("/test.Hold/Open", "");
  busy->WaitFor([&] { return messages_ == 1; });
  server_.clock.Advance(absl::Seconds(60));
  EXPECT_TRUE(idle->WaitLost());
  EXPECT_EQ(idle->goaway(), NGHTTP2_NO_ERROR);
  EXPECT_EQ(busy->Call("/test.Echo/Say", "").status(), 0);
}

TEST_F(ServerLimitsTest, EndsAConnectionOfAgeWithItsLastCall) {
  server_.Start({.limits = {.max_connection_age = absl::Minutes(5)}});
  auto client = server_.Connect();
  const int32_t call = client->Start("/test.Hold/Open", "");
  client->WaitFor([&] { return messages_ == 1; });
  server_.clock.Advance(absl::Minutes(6));
  client->WaitFor([&] { return client->goaway().has_value(); });
  EXPECT_FALSE(client->stream(call).closed);
  calls_[0]->Finish(absl::OkStatus());
  EXPECT_EQ(client->WaitClosed(call).status(), 0);
  EXPECT_TRUE(client->WaitLost());
}

TEST_F(ServerLimitsTest, EndsAConnectionOfAgeAlsoWhenItsCallerDoesNotAnswer) {
  server_.Start({.limits = {.max_connection_age = absl::Minutes(5)}});
  const std::string message = FrameBytes(NGHTTP2_DATA, 0, 1, Http2Client::Framed(""));
  const UniqueFd fd = ConnectUnix(server_.path());
  Exchange(fd, std::string(kPreface) + Settings() +
                   FrameBytes(NGHTTP2_HEADERS, 4, 1, HeaderBlock()) + message);
  EXPECT_EQ(messages_, 1);
  server_.clock.Advance(absl::Minutes(6));
  EXPECT_TRUE(HasGoaway(Exchange(fd, ""), NGHTTP2_NO_ERROR));
  // What was on its way is served yet,
  Exchange(fd, FrameBytes(NGHTTP2_HEADERS, 4, 3, HeaderBlock()));
  EXPECT_EQ(calls_.size(), 2u);
  server_.clock.Advance(absl::Seconds(10));
  EXPECT_TRUE(HasGoaway(Exchange(fd, ""), NGHTTP2_NO_ERROR));
  // later calls are not, and those that do not end are cut off.
  Exchange(fd, FrameBytes(NGHTTP2_HEADERS, 4, 5, HeaderBlock()));
  EXPECT_EQ(calls_.size(), 2u);
  EXPECT_FALSE(Closed(fd));
  server_.clock.Advance(absl::Minutes(2));
  Exchange(fd, "");
  EXPECT_TRUE(Closed(fd));
}

TEST_F(ServerLimitsTest, EndsConnectionsMadeTogetherAtDifferentAges) {
  server_.Start({.limits = {.handshake_timeout = absl::InfiniteDuration(),
                            .max_connection_age = absl::Minutes(100)}});
  std::vector<UniqueFd> callers;
  for (int i = 0; i < 40; ++i) {
    callers.push_back(ConnectUnix(server_.path()));
    Exchange(callers.back(), std::string(kPreface) + Settings());
  }
  std::set<int> told;
  const auto look = [&] {
    for (const UniqueFd& caller : callers) {
      if (HasGoaway(Exchange(caller, ""), NGHTTP2_NO_ERROR)) {
        told.insert(caller.get());
      }
    }
  };
  server_.clock.Advance(absl::Minutes(89));
  look();
  EXPECT_EQ(told.size(), 0u);
  server_.clock.Advance(absl::Minutes(11));
  look();
  EXPECT_GT(told.size(), 0u);
  EXPECT_LT(told.size(), 40u);
  server_.clock.Advance(absl::Minutes(11));
  look();
  EXPECT_EQ(told.size(), 40u);
}

TEST_F(ServerLimitsTest, EndsCallsWhoseMessageDoesNotCome) {
  server_.Start({.limits = {.message_timeout = absl::Seconds(30)}});
  auto client = server_.Connect();
  const int32_t silent = client->Open(Http2Client::GrpcHeaders("/test.Hold/Open"));
  const int32_t held = client->Start("/test.Hold/Open", "");
  const int32_t half = client->Open(Http2Client::GrpcHeaders("/test.Hold/Open"));
  client->Send(half, Http2Client::Framed("whole") + Http2Client::Framed("cut").substr(0, 6));
  client->WaitFor([&] { return calls_.size() == 3 && messages_ == 2; });
  server_.clock.Advance(absl::Seconds(29));
  client->Step();
  EXPECT_FALSE(client->stream(silent).closed);
  server_.clock.Advance(absl::Seconds(1));
  for (const int32_t late : {silent, half}) {
    EXPECT_EQ(client->WaitClosed(late).status(), 4);
    EXPECT_EQ(client->stream(late).message(), "the request did not come in time");
  }
  EXPECT_FALSE(client->stream(held).closed);
}

TEST_F(ServerLimitsTest, ClosesTheConnectionOfARefusedCallerSoon) {
  server_.registry.Add("/test.Refuse/Say",
                       Unary<StringValue>([](Call&, const StringValue&, const Responder& r) {
                         r.Fail(PermissionDenied("no"));
                       }));
  server_.Start();
  auto refused = server_.Connect();
  auto served = server_.Connect();
  EXPECT_EQ(refused->Call("/test.Refuse/Say", "").status(), 7);
  EXPECT_EQ(served->Call("/test.Echo/Say", "").status(), 0);
  server_.clock.Advance(absl::Seconds(5));
  EXPECT_TRUE(refused->WaitLost());
  EXPECT_EQ(served->Call("/test.Echo/Say", "").status(), 0);
}

// In a process of its own, for a hard limit may not be raised again.
[[noreturn]] void ExitWithAffordableOf(rlim_t soft, rlim_t hard) {
  const rlimit few = {.rlim_cur = soft, .rlim_max = hard};
  setrlimit(RLIMIT_NOFILE, &few);
  _exit(static_cast<int>(AffordableConnections(20000)));
}

TEST(DescriptorLimitTest, LeavesRoomForFewerConnections) {
  EXPECT_EQ(AffordableConnections(10), 10u);
  EXPECT_EXIT(ExitWithAffordableOf(64, 80), testing::ExitedWithCode(30), "");
}

TEST_F(ServerLimitsTest, TakesNoMoreConnectionsThanItMay) {
  server_.Start({.limits = {.max_connections = 3}});
  std::vector<std::unique_ptr<Http2Client>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(server_.Connect());
    EXPECT_EQ(clients.back()->Call("/test.Echo/Say", "").status(), 0);
  }
  EXPECT_TRUE(server_.Connect()->WaitLost());
  clients.pop_back();
  server_.pump()();
  ExpectOthersServed();
}

TEST_F(ServerLimitsTest, TakesNoMoreStreamsThanItMay) {
  server_.Start({.limits = {.max_streams_per_connection = 4}});
  auto client = server_.Connect();
  std::vector<int32_t> calls;
  // All before the server's settings are read.
  for (int i = 0; i < 6; ++i) {
    calls.push_back(client->Open(Http2Client::GrpcHeaders("/test.Hold/Open")));
  }
  client->WaitFor([&] { return client->stream(calls[5]).closed; });
  EXPECT_EQ(client->stream(calls[4]).error, NGHTTP2_REFUSED_STREAM);
  EXPECT_EQ(client->stream(calls[5]).error, NGHTTP2_REFUSED_STREAM);
  EXPECT_EQ(calls_.size(), 4u);
  EXPECT_EQ(client->SettingOfServer(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS), 4u);
}

TEST_F(ServerLimitsTest, ResetsARequestWithTooManyHeaders) {
  server_.Start({.limits = {.max_header_bytes = 2000}});
  auto client = server_.Connect();
  Http2Client::Fields many;
  for (int i = 0; i < 60; ++i) {
    many.emplace_back("x-" + std::to_string(i), "value");
  }
  const int32_t call = client->Start("/test.Echo/Say", "", many);
  EXPECT_EQ(client->WaitClosed(call).error, NGHTTP2_FRAME_SIZE_ERROR);
  EXPECT_EQ(client->Call("/test.Echo/Say", "").status(), 0);
}

TEST_F(ServerLimitsTest, CalmsFloodsOfControlFrames) {
  server_.Start();
  ExpectCalmed(Repeated(FrameBytes(NGHTTP2_PING, 0, 0, "12345678"), 4000));
  ExpectCalmed(Repeated(FrameBytes(NGHTTP2_PING, 1, 0, "12345678"), 4000));
  ExpectCalmed(Repeated(Settings(), 4000));
  ExpectCalmed(Repeated(FrameBytes(NGHTTP2_PRIORITY, 0, 3, std::string(5, '\0')), 4000));
  ExpectCalmed(Repeated(FrameBytes(0xee, 0, 0, "unknown"), 4000));
  const std::string open = FrameBytes(NGHTTP2_HEADERS, 4, 1, HeaderBlock());
  ExpectCalmed(open + Repeated(FrameBytes(NGHTTP2_DATA, 0, 1, ""), 4000));
  ExpectCalmed(open + Repeated(FrameBytes(NGHTTP2_WINDOW_UPDATE, 0, 0, {"\0\0\0\1", 4}), 4000));
}

TEST_F(ServerLimitsTest, CalmsRapidReset) {
  server_.Start();
  std::string flood;
  for (uint32_t stream = 1; stream < 4000; stream += 2) {
    flood += FrameBytes(NGHTTP2_HEADERS, 5, stream, HeaderBlock());
    flood += FrameBytes(NGHTTP2_RST_STREAM, 0, stream, {"\0\0\0\x8", 4});
  }
  ExpectCalmed(flood);
  EXPECT_LT(calls_.size(), 600u);
}

TEST_F(ServerLimitsTest, CalmsCallersThatMakeItReset) {
  server_.Start();
  std::string flood;
  for (uint32_t stream = 1; stream < 4000; stream += 2) {
    flood += FrameBytes(NGHTTP2_HEADERS, 4, stream, HeaderBlock());
    // An increment that overflows the window is a stream error.
    flood += FrameBytes(NGHTTP2_WINDOW_UPDATE, 0, stream, "\x7f\xff\xff\xff");
  }
  ExpectCalmed(flood);
  EXPECT_LT(calls_.size(), 1200u);
}

TEST_F(ServerLimitsTest, EndsHeadersThatNeverEnd) {
  server_.Start();
  const UniqueFd fd = ConnectUnix(server_.path());
  std::string flood = FrameBytes(NGHTTP2_HEADERS, 0, 1, HeaderBlock());
  for (int i = 0; i < 100; ++i) {
    flood += FrameBytes(NGHTTP2_CONTINUATION, 0, 1, std::string("\0\1a\1b", 5));
  }
  Exchange(fd, std::string(kPreface) + Settings() + flood);
  EXPECT_TRUE(Closed(fd));
  ExpectOthersServed();
}

TEST_F(ServerLimitsTest, DoesNotMistakeABusyCallerForAFlood) {
  server_.Start();
  auto client = server_.Connect();
  for (int i = 0; i < 3000; ++i) {
    nghttp2_submit_ping(client->session(), NGHTTP2_FLAG_NONE, nullptr);
    ASSERT_EQ(client->Call("/test.Echo/Say", "").status(), 0) << i;
  }
}

TEST_F(ServerLimitsTest, ClosesAConnectionThatDoesNotReadItsAnswers) {
  server_.Start({.limits = {.max_pending_bytes = 1 << 20}});
  auto client = server_.Connect();
  client->Open(Http2Client::GrpcHeaders("/test.Hold/Open"));
  client->WaitFor([&] { return calls_.size() == 1; });
  client->reading = false;
  const auto frame = std::make_shared<const Frame>(std::string_view(std::string(100 << 10, 'x')));
  for (int i = 0; i < 40 && server_.server().connections() == 1; ++i) {
    calls_[0]->Send(frame);
    server_.pump()();
  }
  EXPECT_EQ(server_.server().connections(), 0u);
  EXPECT_EQ(frame.use_count(), 1);
  ExpectOthersServed();
}

TEST_F(ServerLimitsTest, WaitsForASlowReaderWithoutReadingMoreOfIt) {
  server_.Start();
  auto client =
      server_.Connect({{std::to_string(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE), "16777216"}});
  nghttp2_session_set_local_window_size(client->session(), 0, 0, 16 << 20);
  const std::string large(1 << 20, 'x');
  StringValue request;
  request.set_value(large);
  client->reading = false;
  std::vector<int32_t> calls;
  for (int i = 0; i < 3; ++i) {
    calls.push_back(client->Start("/test.Echo/Say", request.SerializeAsString()));
  }
  for (int i = 0; i < 200; ++i) {
    client->Step();
  }
  client->reading = true;
  for (const int32_t call : calls) {
    const auto& answer = client->WaitClosed(call);
    EXPECT_EQ(answer.status(), 0);
    EXPECT_TRUE(answer.messages().at(0) == request.SerializeAsString());
  }
}

TEST_F(ServerLimitsTest, SharesOneFrameAmongManyCalls) {
  server_.Start();
  std::vector<std::unique_ptr<Http2Client>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(server_.Connect());
    clients.back()->Open(Http2Client::GrpcHeaders("/test.Hold/Open"));
    clients.back()->WaitFor([&] { return calls_.size() == clients.size(); });
  }
  const auto frame = std::make_shared<const Frame>(std::string_view("state"));
  for (Call* call : calls_) {
    call->Send(frame);
  }
  for (const auto& client : clients) {
    EXPECT_EQ(client->WaitMessages(1, 1).messages().at(0), "state");
  }
  EXPECT_EQ(frame.use_count(), 1);
}

TEST_F(ServerLimitsTest, KeepsSmallCallersServedWhenLargeRequestsFillTheMemory) {
  server_.Start();
  std::vector<std::unique_ptr<Http2Client>> clients;
  const std::string most = Http2Client::Framed(std::string(3 << 20, 'x')).substr(0, 3 << 20);
  int refused = 0;
  for (int i = 0; i < 24; ++i) {
    clients.push_back(server_.Connect());
    const int32_t call = clients.back()->Open(Http2Client::GrpcHeaders("/test.Hold/Open"));
    clients.back()->Send(call, most);
    auto& client = *clients.back();
    client.WaitFor([&] {
      return client.stream(call).closed ||
             nghttp2_session_get_stream_remote_window_size(client.session(), call) > 0;
    });
    for (int step = 0; step < 400 && !client.stream(call).closed; ++step) {
      client.Step();
    }
    refused += client.stream(call).status() == 8 ? 1 : 0;
  }
  EXPECT_GT(refused, 0);
  ExpectOthersServed();
}

// Also what has left a call for the socket that does not take it.
TEST_F(ServerLimitsTest, ChargesUnreadAnswersToTheirUser) {
  server_.Start({.limits = {.max_pending_bytes = 1 << 20}});
  std::vector<std::unique_ptr<Http2Client>> clients;
  for (size_t i = 1; i <= 20; ++i) {
    clients.push_back(
        server_.Connect({{std::to_string(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE), "16777216"}}));
    Http2Client& client = *clients.back();
    nghttp2_session_set_local_window_size(client.session(), 0, 0, 16 << 20);
    client.Open(Http2Client::GrpcHeaders("/test.Hold/Open"));
    client.WaitFor([&] { return calls_.size() == i; });
    client.reading = false;
    calls_.back()->Send(std::make_shared<const Frame>(std::string_view(std::string(250000, 'x'))));
    server_.pump()();
  }
  EXPECT_GE(server_.server().connections(), 7u);
  EXPECT_LE(server_.server().connections(), 8u) << "2 MiB";
  clients.clear();
  server_.pump()();
  ExpectOthersServed();
}

TEST_F(ServerLimitsTest, OutlivesRunningOutOfDescriptors) {
  server_.Start();
  auto before = server_.Connect();
  EXPECT_EQ(before->Call("/test.Echo/Say", "").status(), 0);
  rlimit old{};
  getrlimit(RLIMIT_NOFILE, &old);
  UniqueFd waiting(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  server_.path().copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(connect(waiting.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const rlimit none = {.rlim_cur = 3, .rlim_max = old.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  for (int i = 0; i < 5; ++i) {
    server_.pump()();
  }
  EXPECT_EQ(before->Call("/test.Echo/Say", "").status(), 0);
  setrlimit(RLIMIT_NOFILE, &old);
  server_.clock.Advance(absl::Seconds(1));
  server_.pump()();
  ExpectOthersServed();
}

}  // namespace
}  // namespace assay::rpc
