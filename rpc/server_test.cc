// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/server.h"

#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"
#include "tests/support/http2_client.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay::rpc {
namespace {

using google::protobuf::StringValue;
using testing::ElementsAre;
using testing::HasSubstr;

std::string Text(const std::string& value) {
  StringValue message;
  message.set_value(value);
  return message.SerializeAsString();
}

// Keeps what its calls do where the test sees it.
struct Watched {
  std::vector<Call*> calls;
  std::vector<std::string> messages;
  int half_closed = 0;
  int destroyed = 0;
};

class WatchedHandler final : public CallHandler {
 public:
  WatchedHandler(Call& call, Watched& watched) : watched_(watched) {
    watched_.calls.push_back(&call);
  }
  ~WatchedHandler() override { ++watched_.destroyed; }
  void OnMessage(std::string_view bytes) override { watched_.messages.emplace_back(bytes); }
  void OnHalfClose() override { ++watched_.half_closed; }

 private:
  Watched& watched_;
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() : loop_(EventLoop::Create(clock_).value()) {
    registry_.Add("/test.Echo/Say",
                  Unary<StringValue>([](Call&, const StringValue& request,
                                        const Responder& responder) { responder.Reply(request); }));
    registry_.Add("/test.Echo/Watch",
                  [this](Call& call) { return std::make_unique<WatchedHandler>(call, watched_); });
  }

  void Serve(Server::Options options = {}) {
    auto server = Server::Create(*loop_, registry_, std::move(options));
    ASSERT_OK(server);
    server_ = std::move(*server);
    auto listener = ListenUnix(path(), 0600);
    ASSERT_OK(listener);
    ASSERT_OK(server_->Listen(std::move(*listener)));
  }
  std::string path() const { return folder_.path() + "/s"; }
  Http2Client::Pump pump() {
    return [this] { loop_->RunOnce(absl::ZeroDuration()); };
  }
  std::unique_ptr<Http2Client> Connect(Http2Client::Fields settings = {}) {
    return std::make_unique<Http2Client>(ConnectUnix(path()), pump(), std::move(settings));
  }

  TempFolder folder_;
  FakeClock clock_;
  std::unique_ptr<EventLoop> loop_;
  Watched watched_;
  Registry registry_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnswersAUnaryCall) {
  Serve();
  auto client = Connect();
  const auto& answer = client->Call("/test.Echo/Say", Text("hello"));
  EXPECT_EQ(answer.headers.at(":status"), "200");
  EXPECT_EQ(answer.headers.at("content-type"), "application/grpc");
  EXPECT_THAT(answer.messages(), ElementsAre(Text("hello")));
  EXPECT_EQ(answer.status(), 0);
}

}  // namespace
}  // namespace assay::rpc
