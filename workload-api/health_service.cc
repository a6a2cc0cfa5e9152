// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/health_service.h"

#include "grpc/health/v1/health.pb.h"

namespace assay {

namespace health = grpc::health::v1;

namespace {

absl::Status CheckService(const health::HealthCheckRequest& request) {
  return request.service().empty() ? absl::OkStatus()
                                   : InvalidArgument("per-service health is not supported");
}

}  // namespace

// One call of Watch, among those told of changes from its request on.
class HealthService::Watcher final : public rpc::CallHandler {
 public:
  Watcher(rpc::Call& call, HealthService& service) : call_(call), service_(service) {}
  ~Watcher() override { service_.watching_.erase(&call_); }

  void OnMessage(std::string_view bytes) override {
    health::HealthCheckRequest request;
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      call_.Finish(InvalidArgument("the request cannot be parsed"));
    } else if (const absl::Status status = CheckService(request); !status.ok()) {
      call_.Finish(status);
    } else if (service_.watching_.insert(&call_).second) {
      call_.Send(service_.Status());
    }
  }

 private:
  rpc::Call& call_;
  HealthService& service_;
};

rpc::SharedFrame HealthService::Status() const {
  health::HealthCheckResponse response;
  response.set_status(serving_ ? health::HealthCheckResponse::SERVING
                               : health::HealthCheckResponse::NOT_SERVING);
  return std::make_shared<const rpc::Frame>(response);
}

void HealthService::AddTo(rpc::Registry& registry) {
  registry.Add("/grpc.health.v1.Health/Check",
               rpc::Unary<health::HealthCheckRequest>(
                   [this](rpc::Call& call, const health::HealthCheckRequest& request,
                          const rpc::Responder& responder) {
                     if (const absl::Status status = CheckService(request); !status.ok()) {
                       responder.Fail(status);
                       return;
                     }
                     call.Send(Status());
                     call.Finish(absl::OkStatus());
                   }));
  registry.Add("/grpc.health.v1.Health/Watch",
               [this](rpc::Call& call) { return std::make_unique<Watcher>(call, *this); });
}

void HealthService::SetServing(bool serving) {
  if (serving == serving_) {
    return;
  }
  serving_ = serving;
  const rpc::SharedFrame status = Status();
  for (rpc::Call* call : watching_) {
    call->Send(status);
  }
}

}  // namespace assay
