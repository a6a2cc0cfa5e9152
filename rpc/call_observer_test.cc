// SPDX-License-Identifier: GPL-3.0-or-later
// What a server tells an observer of its calls and connections.
#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include "rpc/server.h"
#include "tests/support/test_server.h"

namespace assay::rpc {
namespace {

using google::protobuf::StringValue;
using testing::ElementsAre;

class FakeObserver final : public CallObserver {
 public:
  explicit FakeObserver(const Clock& clock) : clock_(clock) {}
  absl::Duration Now() const override { return clock_.SinceBoot(); }
  void OnCallBegin(std::string_view method) override {
    told.push_back(fmt::format("{} begins", method));
  }
  void OnFirstMessage(std::string_view method, absl::Duration elapsed) override {
    told.push_back(fmt::format("{} first {}", method, absl::ToInt64Seconds(elapsed)));
  }
  void OnCallEnd(std::string_view method, absl::StatusCode code, absl::Duration elapsed) override {
    told.push_back(
        fmt::format("{} {} {}", method, static_cast<int>(code), absl::ToInt64Seconds(elapsed)));
  }
  void OnConnectionRefused() override { told.push_back("refused"); }

  std::vector<std::string> told;

 private:
  const Clock& clock_;
};

class CallObserverTest : public testing::Test {
 protected:
  class Waiting final : public CallHandler {
   public:
    explicit Waiting(int& gone) : gone_(gone) {}
    ~Waiting() override { ++gone_; }
    void OnMessage(std::string_view) override {}

   private:
    int& gone_;
  };

  CallObserverTest() {
    const auto answer = [](Call&, const StringValue& request, const Responder& responder) {
      if (request.value() == "fail") {
        responder.Fail(PermissionDenied("no"));
      } else {
        responder.Reply(request);
      }
    };
    server_.registry.Add("/test.Echo/Say", Unary<StringValue>(answer));
    server_.registry.Add("/test.Echo/Watch", [this](Call& call) {
      call_ = &call;
      return std::make_unique<Waiting>(gone_);
    });
  }
  void Start(Server::Options options) {
    options.observer = &observer_;
    server_.Start(std::move(options));
    client_ = server_.Connect();
  }
  static std::string Text(const std::string& value) {
    StringValue message;
    message.set_value(value);
    return message.SerializeAsString();
  }
  // A stream that its caller ends after two seconds.
  void Abandon(bool is_answered) {
    call_ = nullptr;
    const int32_t id = client_->Open(Http2Client::GrpcHeaders("/test.Echo/Watch"));
    client_->WaitFor([this] { return call_ != nullptr; });
    server_.clock.Advance(absl::Seconds(2));
    if (is_answered) {
      call_->Send(std::make_shared<const Frame>(std::string_view(Text("a"))));
    }
    const int before = gone_;
    client_->Reset(id);
    client_->WaitFor([&] { return gone_ > before; });
  }

  Call* call_ = nullptr;
  int gone_ = 0;
  TestServer server_;
  FakeObserver observer_{server_.clock};
  std::unique_ptr<Http2Client> client_;
};

TEST_F(CallObserverTest, IsToldWhatCallsOfTheRegistryComeTo) {
  Start({});
  client_->Call("/test.Echo/Say", Text("hello"));
  client_->Call("/test.Echo/Say", Text("fail"));
  client_->Call("/test.Echo/Unknown", Text(""));
  EXPECT_THAT(observer_.told,
              ElementsAre("/test.Echo/Say begins", "/test.Echo/Say first 0", "/test.Echo/Say 0 0",
                          "/test.Echo/Say begins", "/test.Echo/Say 7 0"));
  server_.Stop();
}

TEST_F(CallObserverTest, AStreamThatItsCallerEndsIsWellIfItHadAnAnswer) {
  Start({});
  Abandon(/*is_answered=*/true);
  EXPECT_THAT(observer_.told, ElementsAre("/test.Echo/Watch begins", "/test.Echo/Watch first 2",
                                          "/test.Echo/Watch 0 2"));
  observer_.told.clear();
  Abandon(/*is_answered=*/false);
  EXPECT_THAT(observer_.told, ElementsAre("/test.Echo/Watch begins", "/test.Echo/Watch 1 2"));
  server_.Stop();
}

TEST_F(CallObserverTest, IsToldOfConnectionsThatAreRefused) {
  Start({.limits = {.max_connections = 1}});
  const auto another = server_.Connect();
  client_->WaitFor([this] { return !observer_.told.empty(); });
  EXPECT_THAT(observer_.told, ElementsAre("refused"));
  server_.Stop();
}

}  // namespace
}  // namespace assay::rpc
