// SPDX-License-Identifier: GPL-3.0-or-later
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
  ServerTest() {
    server_.registry.Add("/test.Echo/Say", Unary<StringValue>([](Call&, const StringValue& request,
                                                                 const Responder& responder) {
                           responder.Reply(request);
                         }));
    server_.registry.Add("/test.Echo/Watch", [this](Call& call) {
      return std::make_unique<WatchedHandler>(call, watched_);
    });
  }

  Watched watched_;
  TestServer server_;
};

TEST_F(ServerTest, AnswersAUnaryCall) {
  server_.Start();
  auto client = server_.Connect();
  const auto& answer = client->Call("/test.Echo/Say", Text("hello"));
  EXPECT_EQ(answer.headers.at(":status"), "200");
  EXPECT_EQ(answer.headers.at("content-type"), "application/grpc");
  EXPECT_THAT(answer.messages(), ElementsAre(Text("hello")));
  EXPECT_EQ(answer.status(), 0);
}

}  // namespace
}  // namespace assay::rpc
