// SPDX-License-Identifier: GPL-3.0-or-later
// A server on TCP without TLS of gRPC's interoperability tests: interop_server. Prints the port
// that it serves on.
#include <cstdio>
#include <string>

#include "grpc/testing/interop.pb.h"
#include "rpc/server.h"
#include "tests/conformance/serve_on_loopback.h"

namespace assay::rpc {
namespace {

constexpr std::string_view kService = "/grpc.testing.TestService/";
constexpr int32_t kMaxPayload = 3 << 20;  // Bytes; the cases ask for less.

absl::Status StatusOf(const grpc::testing::EchoStatus& wanted) {
  return MakeStatus(static_cast<absl::StatusCode>(wanted.code()), wanted.message());
}

template <typename Response>
absl::StatusOr<Response> ResponseOf(int32_t size) {
  if (size < 0 || size > kMaxPayload) {
    return InvalidArgument("payload of {} bytes asked for, wanted 0 to {}", size, kMaxPayload);
  }
  Response response;
  response.mutable_payload()->set_body(std::string(static_cast<size_t>(size), '\0'));
  return response;
}

void AnswerUnary(Call& /*call*/, const grpc::testing::SimpleRequest& request,
                 const Responder& responder) {
  if (request.has_response_status() && request.response_status().code() != 0) {
    return responder.Fail(StatusOf(request.response_status()));
  }
  const auto response = ResponseOf<grpc::testing::SimpleResponse>(request.response_size());
  response.ok() ? responder.Reply(*response) : responder.Fail(response.status());
}

// Answers each request by as many messages as it asks for, at once.
class Output final : public CallHandler {
 public:
  explicit Output(Call& call) : call_(call) {}
  void OnMessage(std::string_view bytes) override {
    grpc::testing::StreamingOutputCallRequest request;
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return call_.Finish(InvalidArgument("request does not parse"));
    }
    if (request.has_response_status() && request.response_status().code() != 0) {
      return call_.Finish(StatusOf(request.response_status()));
    }
    for (const auto& wanted : request.response_parameters()) {
      const auto response = ResponseOf<grpc::testing::StreamingOutputCallResponse>(wanted.size());
      if (!response.ok()) {
        return call_.Finish(response.status());
      }
      call_.Send(std::make_shared<const Frame>(*response));
    }
  }
  void OnHalfClose() override { call_.Finish(absl::OkStatus()); }

 private:
  Call& call_;
};

// Adds up what it is sent.
class Input final : public CallHandler {
 public:
  explicit Input(Call& call) : call_(call) {}
  void OnMessage(std::string_view bytes) override {
    grpc::testing::StreamingInputCallRequest request;
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return call_.Finish(InvalidArgument("request does not parse"));
    }
    size_ += static_cast<int32_t>(request.payload().body().size());
  }
  void OnHalfClose() override {
    grpc::testing::StreamingInputCallResponse response;
    response.set_aggregated_payload_size(size_);
    call_.Send(std::make_shared<const Frame>(response));
    call_.Finish(absl::OkStatus());
  }

 private:
  Call& call_;
  int32_t size_ = 0;
};

std::string Method(std::string_view name) { return std::string(kService) + std::string(name); }

int Serve() {
  Registry registry;
  registry.Add(
      Method("EmptyCall"),
      Unary<grpc::testing::Empty>([](Call&, const grpc::testing::Empty& empty,
                                     const Responder& responder) { responder.Reply(empty); }));
  registry.Add(Method("UnaryCall"), Unary<grpc::testing::SimpleRequest>(AnswerUnary));
  for (const char* name : {"StreamingOutputCall", "FullDuplexCall"}) {
    registry.Add(Method(name), [](Call& call) { return std::make_unique<Output>(call); });
  }
  registry.Add(Method("StreamingInputCall"),
               [](Call& call) { return std::make_unique<Input>(call); });
  return ServeOnLoopback(registry, {});
}

}  // namespace
}  // namespace assay::rpc

int main() { return assay::rpc::Serve(); }
