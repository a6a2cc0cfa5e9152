// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/host_services.h"

#include <google/protobuf/empty.pb.h>

#include "spire/hostservice/common/metrics/v1/metrics.pb.h"

namespace assay {
namespace {

namespace metrics = spire::hostservice::common::metrics::v1;

constexpr std::string_view kMetrics = "spire.hostservice.common.metrics.v1.Metrics";

template <typename Request>
void AddDropped(rpc::Registry& registry, std::string_view method) {
  registry.Add(fmt::format("/{}/{}", kMetrics, method),
               rpc::Unary<Request>([](rpc::Call&, const Request&, const rpc::Responder& responder) {
                 responder.Reply(google::protobuf::Empty());
               }));
}

}  // namespace

std::vector<std::string> AddHostServices(rpc::Registry& registry) {
  AddDropped<metrics::SetGaugeRequest>(registry, "SetGauge");
  AddDropped<metrics::EmitKeyRequest>(registry, "EmitKey");
  AddDropped<metrics::IncrCounterRequest>(registry, "IncrCounter");
  AddDropped<metrics::AddSampleRequest>(registry, "AddSample");
  AddDropped<metrics::MeasureSinceRequest>(registry, "MeasureSince");
  return {std::string(kMetrics)};
}

}  // namespace assay
