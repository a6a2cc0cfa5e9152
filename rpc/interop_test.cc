// SPDX-License-Identifier: GPL-3.0-or-later
// gRPC's own C++ client against this server: all kinds of calls, cancellation and deadlines.
#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "rpc/listen_socket.h"
#include "rpc/server.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay::rpc {
namespace {

using google::protobuf::StringValue;

grpc::ByteBuffer BufferOf(const std::string& value) {
  StringValue message;
  message.set_value(value);
  const grpc::Slice slice(message.SerializeAsString());
  return {&slice, 1};
}

std::string ValueOf(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  EXPECT_TRUE(buffer.DumpToSingleSlice(&slice).ok());
  StringValue message;
  EXPECT_TRUE(message.ParseFromArray(slice.begin(), static_cast<int>(slice.size())));
  return message.value();
}

// Sends each message back at once; an empty one ends the call with an error.
class EchoHandler final : public CallHandler {
 public:
  EchoHandler(Call& call, std::atomic<int>& alive) : call_(call), alive_(alive) { ++alive_; }
  ~EchoHandler() override { --alive_; }
  void OnMessage(std::string_view bytes) override {
    if (bytes.empty()) {
      call_.Finish(MakeStatus(absl::StatusCode::kAborted, "100% empty"), "details");
    } else {
      call_.Send(std::make_shared<const Frame>(bytes));
    }
  }
  void OnHalfClose() override { call_.Finish(absl::OkStatus()); }

 private:
  Call& call_;
  std::atomic<int>& alive_;
};

// A server in a thread of its own, and gRPC's channel to it.
class InteropTest : public testing::Test {
 protected:
  InteropTest() : loop_(EventLoop::Create(clock_).value()) {
    registry_.Add("/test.Echo/Say",
                  Unary<StringValue>([](Call&, const StringValue& request,
                                        const Responder& responder) { responder.Reply(request); }));
    registry_.Add("/test.Echo/Chat",
                  [this](Call& call) { return std::make_unique<EchoHandler>(call, alive_); });
    server_ = Server::Create(*loop_, registry_, {}).value();
    EXPECT_OK(server_->Listen(ListenUnix(folder_.path() + "/s", 0600).value()));
    thread_ = std::thread([this] { loop_->Run(); });
    channel_ =
        grpc::CreateChannel("unix:" + folder_.path() + "/s", grpc::InsecureChannelCredentials());
    stub_ = std::make_unique<grpc::GenericStub>(channel_);
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }
  ~InteropTest() override {
    loop_->Stop();
    thread_.join();
  }

  // Whether the event that the queue reports next was a success.
  bool Next() {
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue_.Next(&tag, &ok));
    return ok;
  }
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> Chat() {
    auto chat = stub_->PrepareCall(&context_, "/test.Echo/Chat", &queue_);
    chat->StartCall(nullptr);
    EXPECT_TRUE(Next());
    return chat;
  }
  void Write(grpc::GenericClientAsyncReaderWriter& chat, const grpc::ByteBuffer& message) {
    chat.Write(message, nullptr);
    EXPECT_TRUE(Next());
  }
  bool Read(grpc::GenericClientAsyncReaderWriter& chat, grpc::ByteBuffer& message) {
    chat.Read(&message, nullptr);
    return Next();
  }
  grpc::Status Finish(grpc::GenericClientAsyncReaderWriter& chat) {
    grpc::Status status;
    chat.Finish(&status, nullptr);
    EXPECT_TRUE(Next());
    return status;
  }
  grpc::Status Say(const std::string& value, std::string& answer) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    grpc::ByteBuffer request = BufferOf(value);
    grpc::ByteBuffer response;
    grpc::Status status;
    auto call = stub_->PrepareUnaryCall(&context, "/test.Echo/Say", request, &queue_);
    call->StartCall();
    call->Finish(&response, &status, nullptr);
    EXPECT_TRUE(Next());
    answer = status.ok() ? ValueOf(response) : "";
    return status;
  }
  void WaitUntilNoHandlers() {
    for (int i = 0; i < 2000 && alive_ > 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(alive_, 0);
  }

  TempFolder folder_;
  SystemClock clock_;
  std::atomic<int> alive_ = 0;
  std::unique_ptr<EventLoop> loop_;
  Registry registry_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<grpc::GenericStub> stub_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
};

TEST_F(InteropTest, Unary) {
  std::string answer;
  for (const size_t size : {0, 1, 1000, 70000, 3000000}) {
    const std::string value(size, 'x');
    const grpc::Status status = Say(value, answer);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(answer == value);
  }
}

TEST_F(InteropTest, BidirectionalStream) {
  auto chat = Chat();
  grpc::ByteBuffer answer;
  for (int i = 0; i < 200; ++i) {
    Write(*chat, BufferOf(std::to_string(i)));
    ASSERT_TRUE(Read(*chat, answer));
    EXPECT_EQ(ValueOf(answer), std::to_string(i));
  }
  chat->WritesDone(nullptr);
  EXPECT_TRUE(Next());
  EXPECT_FALSE(Read(*chat, answer));
  EXPECT_TRUE(Finish(*chat).ok());
}

TEST_F(InteropTest, ServerStream) {
  auto chat = Chat();
  Write(*chat, BufferOf(std::string(100000, 'x')));
  Write(*chat, BufferOf("two"));
  chat->WritesDone(nullptr);
  EXPECT_TRUE(Next());
  grpc::ByteBuffer answer;
  EXPECT_TRUE(Read(*chat, answer));
  EXPECT_TRUE(Read(*chat, answer));
  EXPECT_EQ(ValueOf(answer), "two");
  EXPECT_FALSE(Read(*chat, answer));
  EXPECT_TRUE(Finish(*chat).ok());
}

TEST_F(InteropTest, ErrorWithDetails) {
  auto chat = Chat();
  Write(*chat, grpc::ByteBuffer(nullptr, 0));
  const grpc::Status status = Finish(*chat);
  EXPECT_EQ(status.error_code(), grpc::ABORTED);
  EXPECT_EQ(status.error_message(), "100% empty");
  EXPECT_EQ(status.error_details(), "details");
}

TEST_F(InteropTest, UnknownMethod) {
  grpc::ByteBuffer request = BufferOf("x"), response;
  grpc::Status status;
  auto call = stub_->PrepareUnaryCall(&context_, "/test.Nope/Say", request, &queue_);
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  EXPECT_TRUE(Next());
  EXPECT_EQ(status.error_code(), grpc::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(), "unknown service test.Nope");
}

TEST_F(InteropTest, CancellationReachesTheHandler) {
  auto chat = Chat();
  grpc::ByteBuffer answer;
  Write(*chat, BufferOf("x"));
  EXPECT_TRUE(Read(*chat, answer));
  EXPECT_EQ(alive_, 1);
  context_.TryCancel();
  EXPECT_EQ(Finish(*chat).error_code(), grpc::CANCELLED);
  WaitUntilNoHandlers();
}

TEST_F(InteropTest, DeadlineEndsBothSides) {
  context_.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  auto chat = Chat();
  EXPECT_EQ(Finish(*chat).error_code(), grpc::DEADLINE_EXCEEDED);
  WaitUntilNoHandlers();
}

TEST_F(InteropTest, ManyCallsShareAConnection) {
  std::string answer;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(Say(std::to_string(i), answer).ok());
    ASSERT_EQ(answer, std::to_string(i));
  }
  std::atomic<size_t> connections = 0;
  std::atomic<bool> asked = false;
  loop_->Post([&] {
    connections = server_->connections();
    asked = true;
  });
  while (!asked) {
    std::this_thread::yield();
  }
  EXPECT_EQ(connections, 1u);
}

}  // namespace
}  // namespace assay::rpc
