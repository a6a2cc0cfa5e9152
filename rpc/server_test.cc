// SPDX-License-Identifier: GPL-3.0-or-later
// What callers see of a server that behaves: calls of all four kinds, and errors in gRPC's words.
#include "rpc/server.h"

#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include "tests/support/test_server.h"

namespace assay::rpc {
namespace {

using google::protobuf::StringValue;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::string Text(const std::string& value) {
  StringValue message;
  message.set_value(value);
  return message.SerializeAsString();
}

SharedFrame FrameOf(const std::string& value) {
  return std::make_shared<const Frame>(std::string_view(Text(value)));
}

// Keeps what its calls do where the test sees it.
struct Seen {
  std::vector<Call*> calls;
  std::vector<std::string> messages;
  int half_closed = 0;
  int destroyed = 0;
};

class SeenHandler final : public CallHandler {
 public:
  SeenHandler(Call& call, Seen& seen) : seen_(seen) { seen_.calls.push_back(&call); }
  ~SeenHandler() override { ++seen_.destroyed; }
  void OnMessage(std::string_view bytes) override { seen_.messages.emplace_back(bytes); }
  void OnHalfClose() override { ++seen_.half_closed; }

 private:
  Seen& seen_;
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    server_.registry.Add("/test.Echo/Say", Unary<StringValue>([](Call&, const StringValue& request,
                                                                 const Responder& responder) {
                           responder.Reply(request);
                         }));
    server_.registry.Add(
        "/test.Echo/Fail",
        Unary<StringValue>([](Call&, const StringValue& request, const Responder& responder) {
          responder.Fail(PermissionDenied("{}", request.value()), "\x01\xff\x02\x03");
        }));
    server_.registry.Add("/test.Echo/Watch",
                         [this](Call& call) { return std::make_unique<SeenHandler>(call, seen_); });
  }

  void Start(Server::Options options = {}) {
    server_.Start(std::move(options));
    client_ = server_.Connect();
  }
  // Waits until a call of Watch has its handler.
  Call& Watch(int32_t* id = nullptr, const Http2Client::Fields& more = {}) {
    const size_t before = seen_.calls.size();
    const int32_t call = client_->Open(Http2Client::GrpcHeaders("/test.Echo/Watch", more));
    client_->WaitFor([&] { return seen_.calls.size() > before; });
    if (id != nullptr) {
      *id = call;
    }
    return *seen_.calls.back();
  }

  Seen seen_;
  TestServer server_;
  std::unique_ptr<Http2Client> client_;
};

TEST_F(ServerTest, AnswersAUnaryCall) {
  Start();
  const auto& answer = client_->Call("/test.Echo/Say", Text("hello"));
  EXPECT_EQ(answer.headers.at(":status"), "200");
  EXPECT_EQ(answer.headers.at("content-type"), "application/grpc");
  EXPECT_THAT(answer.messages(), ElementsAre(Text("hello")));
  EXPECT_EQ(answer.status(), 0);
  EXPECT_EQ(answer.error, NGHTTP2_NO_ERROR);
}

// Fewer wake-ups for a caller that asks at once: it is greeted with the answer.
TEST_F(ServerTest, GreetsTogetherWithTheFirstAnswer) {
  Start();
  const int32_t id = client_->Start("/test.Echo/Watch", Text("go"));
  client_->WaitFor([&] { return seen_.half_closed == 1; });
  EXPECT_FALSE(client_->SettingOfServer(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS).has_value());
  seen_.calls.back()->Send(FrameOf("a"));
  EXPECT_THAT(client_->WaitMessages(id, 1).messages(), ElementsAre(Text("a")));
  EXPECT_TRUE(client_->SettingOfServer(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS).has_value());
}

TEST_F(ServerTest, GreetsACallerWhoseAnswerTakesLong) {
  Start();
  client_->Start("/test.Echo/Watch", Text("go"));
  client_->WaitFor([&] { return seen_.half_closed == 1; });
  EXPECT_FALSE(client_->SettingOfServer(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS).has_value());
  server_.clock.Advance(absl::Milliseconds(1));
  client_->WaitFor([&] {
    return client_->SettingOfServer(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS).has_value();
  });
}

TEST_F(ServerTest, AnswersManyCallsAtOnce) {
  Start();
  std::vector<int32_t> calls;
  for (int i = 0; i < 100; ++i) {
    calls.push_back(client_->Start("/test.Echo/Say", Text(std::to_string(i))));
  }
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(client_->WaitClosed(calls[i]).messages(), ElementsAre(Text(std::to_string(i))));
  }
}

TEST_F(ServerTest, CarriesMessagesLargerThanEveryWindow) {
  Start();
  const std::string large(3 << 20, 'x');
  const auto& answer = client_->Call("/test.Echo/Say", Text(large));
  EXPECT_EQ(answer.status(), 0);
  EXPECT_TRUE(answer.messages().size() == 1 && answer.messages()[0] == Text(large));
}

TEST_F(ServerTest, ReadsMessagesHoweverTheyAreCut) {
  Start();
  int32_t id = 0;
  Watch(&id);
  for (const char byte : Http2Client::Framed("one") + Http2Client::Framed("")) {
    client_->Send(id, {&byte, 1});
  }
  client_->Send(id, Http2Client::Framed("two") + Http2Client::Framed("three"), true);
  client_->WaitFor([&] { return seen_.half_closed == 1; });
  EXPECT_THAT(seen_.messages, ElementsAre("one", "", "two", "three"));
}

TEST_F(ServerTest, StreamsUntilTheHandlerFinishes) {
  Start();
  int32_t id = 0;
  Call& call = Watch(&id);
  const SharedFrame frame = FrameOf("state");
  call.Send(frame);
  EXPECT_THAT(client_->WaitMessages(id, 1).messages(), SizeIs(1));
  EXPECT_EQ(call.pending_bytes(), 0u);
  call.Send(frame);
  call.Finish(absl::OkStatus());
  EXPECT_EQ(seen_.destroyed, 0) << "never inside Finish()";
  EXPECT_THAT(client_->WaitClosed(id).messages(), ElementsAre(Text("state"), Text("state")));
  EXPECT_EQ(client_->stream(id).status(), 0);
  EXPECT_EQ(seen_.destroyed, 1);
  EXPECT_EQ(frame.use_count(), 1);
}

TEST_F(ServerTest, SendsErrorsInTrailersAlone) {
  Start();
  const auto& answer = client_->Call("/test.Echo/Fail", Text("50% of caf\xc3\xa9\n"));
  EXPECT_EQ(answer.status(), 7);
  EXPECT_EQ(answer.message(), "50%25 of caf%C3%A9%0A");
  EXPECT_EQ(answer.Field("grpc-status-details-bin"), "Af8CAw");
  EXPECT_EQ(answer.headers.at(":status"), "200");
  EXPECT_THAT(answer.trailers, IsEmpty());
  EXPECT_EQ(answer.data, "");
}

// WLEP-19
TEST_F(ServerTest, SaysThatAMethodIsUnknownAsGrpcGoDoes) {
  Start();
  for (const auto& [path, message] : std::vector<std::pair<std::string, std::string>>{
           {"/test.Echo/Nope", "unknown method Nope for service test.Echo"},
           {"/test.Other/Nope", "unknown service test.Other"},
           {"/a/b/c", "unknown service a/b"},
           {"/test.Echo", "malformed method name: \"/test.Echo\""},
           {"/", "malformed method name: \"/\""}}) {
    const auto& answer = client_->Call(path, "");
    EXPECT_EQ(answer.status(), 12) << path;
    EXPECT_EQ(answer.message(), message);
  }
}

TEST_F(ServerTest, RefusesWhatIsNotGrpc) {
  Start();
  Http2Client::Fields page = {
      {":method", "POST"}, {":scheme", "http"}, {":path", "/test.Echo/Say"}, {":authority", "x"}};
  const auto& bare = client_->WaitClosed(client_->Open(page, true));
  EXPECT_EQ(bare.headers.at(":status"), "415");
  EXPECT_EQ(bare.status(), 3);
  EXPECT_EQ(bare.message(), "invalid gRPC request content-type \"\"");
  page.emplace_back("content-type", "application/grpc-web");
  EXPECT_EQ(client_->WaitClosed(client_->Open(page, true)).headers.at(":status"), "415");
  Http2Client::Fields get = Http2Client::GrpcHeaders("/test.Echo/Say");
  get[0].second = "GET";
  const auto& answer = client_->WaitClosed(client_->Open(get, true));
  EXPECT_EQ(answer.headers.at(":status"), "405");
  EXPECT_EQ(answer.message(), "Received a HEADERS frame with :method \"GET\" which should be POST");
}

TEST_F(ServerTest, TakesASocketsPathForAnAuthority) {
  Start();
  Http2Client::Fields fields = Http2Client::GrpcHeaders("/test.Echo/Say");
  fields[3].second = "/run/assay/api.sock";
  const int32_t id = client_->Open(fields);
  client_->Send(id, Http2Client::Framed(Text("x")), true);
  EXPECT_EQ(client_->WaitClosed(id).status(), 0);
}

TEST_F(ServerTest, ResetsRequestsThatAreMalformed) {
  Start();
  const auto error = [&](const Http2Client::Fields& more, const std::string& body) {
    const int32_t id = client_->Open(Http2Client::GrpcHeaders("/test.Echo/Say", more));
    client_->Send(id, body, true);
    const auto& answer = client_->WaitClosed(id);
    EXPECT_TRUE(answer.headers.empty());
    return answer.error;
  };
  const std::string body = Http2Client::Framed(Text("x"));
  EXPECT_EQ(error({{"upgrade", "h2c"}}, body), NGHTTP2_PROTOCOL_ERROR);
  EXPECT_EQ(error({{"content-length", "3"}}, body), NGHTTP2_PROTOCOL_ERROR);
  EXPECT_EQ(error({{"content-length", "100"}}, body.substr(0, 6)), NGHTTP2_PROTOCOL_ERROR);
  const auto empty = Http2Client::GrpcHeaders("/test.Echo/Nope", {{"content-length", "5"}});
  EXPECT_EQ(client_->WaitClosed(client_->Open(empty, true)).error, NGHTTP2_PROTOCOL_ERROR);
  int32_t id = 0;
  Watch(&id);
  const nghttp2_nv field = {.name = reinterpret_cast<uint8_t*>(const_cast<char*>("x")),
                            .value = reinterpret_cast<uint8_t*>(const_cast<char*>("y")),
                            .namelen = 1,
                            .valuelen = 1,
                            .flags = NGHTTP2_NV_FLAG_NONE};
  nghttp2_submit_headers(client_->session(), NGHTTP2_FLAG_NONE, id, nullptr, &field, 1, nullptr);
  EXPECT_EQ(client_->WaitClosed(id).error, NGHTTP2_PROTOCOL_ERROR) << "trailers that end nothing";
  EXPECT_EQ(seen_.destroyed, 1);
  EXPECT_EQ(client_->Call("/test.Echo/Say", Text("on")).status(), 0);
}

TEST_F(ServerTest, ResetsTheRestOfARequestThatIsAnswered) {
  Start();
  const int32_t id = client_->Open(Http2Client::GrpcHeaders("/test.Echo/Nope"));
  EXPECT_EQ(client_->WaitClosed(id).status(), 12);
  EXPECT_EQ(client_->stream(id).error, NGHTTP2_NO_ERROR);
}

TEST_F(ServerTest, RefusesCompressedMessages) {
  Start();
  const auto& announced = client_->Call("/test.Echo/Say", Text("x"), {{"grpc-encoding", "gzip"}});
  EXPECT_EQ(announced.status(), 12);
  EXPECT_EQ(announced.message(), "grpc: Decompressor is not installed for grpc-encoding \"gzip\"");
  for (const auto& [flag, message] : std::vector<std::pair<char, std::string>>{
           {'\1', "grpc: compressed flag set with identity or empty encoding"},
           {'\7', "grpc: received unexpected payload format 7"}}) {
    std::string framed = Http2Client::Framed("x");
    framed[0] = flag;
    const int32_t id = client_->Open(Http2Client::GrpcHeaders("/test.Echo/Say"));
    client_->Send(id, framed, true);
    EXPECT_EQ(client_->WaitClosed(id).status(), 13);
    EXPECT_EQ(client_->stream(id).message(), message);
  }
}

TEST_F(ServerTest, RefusesAMessageOverTheLimitBeforeItHasArrived) {
  Start({.limits = {.max_message_bytes = 1000}});
  EXPECT_EQ(client_->Call("/test.Echo/Say", Text(std::string(997, 'x'))).status(), 0);
  const int32_t id = client_->Open(Http2Client::GrpcHeaders("/test.Echo/Say"));
  client_->Send(id, std::string("\0\0\0\x3\xe9", 5));
  EXPECT_EQ(client_->WaitClosed(id).status(), 8);
  EXPECT_EQ(client_->stream(id).message(),
            "grpc: received message larger than max (1001 vs. 1000)");
}

TEST_F(ServerTest, RefusesRequestsThatAreMissingCutOrMalformed) {
  Start();
  const auto body = [&](const std::string& bytes) {
    const int32_t id = client_->Open(Http2Client::GrpcHeaders("/test.Echo/Say"));
    client_->Send(id, bytes, true);
    return client_->WaitClosed(id);
  };
  EXPECT_EQ(body("").status(), 2);
  EXPECT_EQ(body("").message(), "EOF");
  EXPECT_EQ(body(Http2Client::Framed("abc").substr(0, 6)).status(), 13);
  EXPECT_EQ(body(std::string(3, '\0')).message(), "unexpected EOF");
  EXPECT_EQ(body(Http2Client::Framed("\xff\xff")).status(), 13);
  EXPECT_THAT(body(Http2Client::Framed("\xff\xff")).message(),
              HasSubstr("grpc: error unmarshalling request"));
}

TEST_F(ServerTest, ShowsAHandlerItsCallersMetadata) {
  Start();
  Call& call = Watch(
      nullptr,
      {{"workload.spiffe.io", "true"}, {"twice", "a"}, {"twice", "b"}, {"token-bin", "AAH/"}});
  EXPECT_EQ(call.method(), "/test.Echo/Watch");
  EXPECT_THAT(call.Metadata("workload.spiffe.io"), ElementsAre("true"));
  EXPECT_THAT(call.Metadata("twice"), ElementsAre("a", "b"));
  EXPECT_THAT(call.Metadata("token-bin"), ElementsAre("AAH/"));
  EXPECT_THAT(call.Metadata("absent"), IsEmpty());
  EXPECT_EQ(call.peer().process.pid, getpid());
  EXPECT_EQ(call.peer().process.uid, getuid());
  EXPECT_TRUE(call.peer().process.Alive());
}

TEST_F(ServerTest, DestroysTheHandlerOfACancelledCall) {
  Start();
  int32_t id = 0;
  Watch(&id);
  client_->Reset(id);
  client_->WaitFor([&] { return seen_.destroyed == 1; });
  EXPECT_EQ(client_->Call("/test.Echo/Say", Text("on")).status(), 0);
}

TEST_F(ServerTest, DestroysTheHandlersOfALostConnection) {
  Start();
  Watch().Send(FrameOf("never read"));
  Watch();
  client_.reset();
  for (int i = 0; i < 100 && seen_.destroyed < 2; ++i) {
    server_.pump()();
  }
  EXPECT_EQ(seen_.destroyed, 2);
  EXPECT_EQ(server_.server().connections(), 0u);
}

TEST_F(ServerTest, EndsACallAtItsDeadline) {
  Start();
  int32_t id = 0;
  Watch(&id, {{"grpc-timeout", "250m"}});
  server_.clock.Advance(absl::Milliseconds(249));
  server_.pump()();
  EXPECT_EQ(seen_.destroyed, 0);
  server_.clock.Advance(absl::Milliseconds(1));
  EXPECT_EQ(client_->WaitClosed(id).status(), 4);
  EXPECT_EQ(client_->stream(id).message(), "context deadline exceeded");
  EXPECT_EQ(seen_.destroyed, 1);
}

TEST_F(ServerTest, RefusesATimeoutThatIsNone) {
  Start();
  const auto& answer = client_->Call("/test.Echo/Say", Text("x"), {{"grpc-timeout", "5y"}});
  EXPECT_EQ(answer.headers.at(":status"), "400");
  EXPECT_EQ(answer.status(), 13);
  EXPECT_EQ(answer.message(),
            "malformed grpc-timeout: transport: timeout unit is not recognized: \"5y\"");
}

TEST_F(ServerTest, AnswersLaterOrNeverOnceTheCallIsOver) {
  std::vector<Responder> waiting;
  server_.registry.Add("/test.Echo/Later",
                       Unary<StringValue>([&](Call&, const StringValue&, const Responder& r) {
                         waiting.push_back(r);
                       }));
  Start();
  const int32_t answered = client_->Start("/test.Echo/Later", Text(""));
  const int32_t cancelled = client_->Start("/test.Echo/Later", Text(""));
  client_->WaitFor([&] { return waiting.size() == 2; });
  client_->Reset(cancelled);
  client_->WaitFor([&] { return waiting[1].call() == nullptr; });
  for (const Responder& responder : waiting) {
    responder.Reply(StringValue());
    responder.Fail(Internal("too late"));
  }
  EXPECT_EQ(client_->WaitClosed(answered).status(), 0);
}

TEST_F(ServerTest, AsksTheInterceptorBeforeEveryHandler) {
  Start({.interceptor = [](Call& call) {
    return call.Metadata("pass").empty() ? InvalidArgument("security header missing")
                                         : absl::OkStatus();
  }});
  const auto& refused = client_->Call("/test.Echo/Say", Text("x"));
  EXPECT_EQ(refused.status(), 3);
  EXPECT_EQ(refused.message(), "security header missing");
  EXPECT_EQ(client_->Call("/test.Echo/Say", Text("x"), {{"pass", "1"}}).status(), 0);
}

TEST_F(ServerTest, LetsTheOwnerRefuseAConnection) {
  bool refuse = true;
  Start({.on_connect = [&](Peer& peer) {
    EXPECT_EQ(peer.process.pid, getpid());
    return refuse ? PermissionDenied("not you") : absl::OkStatus();
  }});
  EXPECT_TRUE(client_->WaitLost());
  refuse = false;
  client_ = server_.Connect();
  EXPECT_EQ(client_->Call("/test.Echo/Say", Text("x")).status(), 0);
}

TEST_F(ServerTest, NeverReusesAConnectionId) {
  std::vector<uint64_t> ids;
  Start({.on_connect = [&](Peer& peer) {
    ids.push_back(peer.connection_id);
    return absl::OkStatus();
  }});
  client_->Call("/test.Echo/Say", Text("x"));
  client_ = server_.Connect();
  client_->Call("/test.Echo/Say", Text("x"));
  ASSERT_THAT(ids, SizeIs(2));
  EXPECT_NE(ids[0], ids[1]);
}

TEST_F(ServerTest, DrainsWithoutHurtingCalls) {
  Start();
  int32_t id = 0;
  Call& call = Watch(&id);
  server_.server().Drain();
  client_->WaitFor([&] { return client_->goaway().has_value(); });
  EXPECT_EQ(client_->goaway(), NGHTTP2_NO_ERROR);
  EXPECT_FALSE(ConnectUnix(server_.path()).valid());
  call.Send(FrameOf("last"));
  call.Finish(absl::OkStatus());
  EXPECT_EQ(client_->WaitClosed(id).status(), 0);
  EXPECT_THAT(client_->stream(id).messages(), ElementsAre(Text("last")));
  EXPECT_TRUE(client_->WaitLost());
  EXPECT_EQ(server_.server().connections(), 0u);
}

TEST_F(ServerTest, DiesInOrderWithCallsOpen) {
  Start();
  int32_t id = 0;
  Watch(&id).Send(FrameOf("x"));
  server_.Stop();
  EXPECT_EQ(seen_.destroyed, 1);
  EXPECT_TRUE(client_->WaitLost());
}

}  // namespace
}  // namespace assay::rpc
