// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/admission.h"

#include <algorithm>

#include "authority/id_convert.h"

namespace assay {
namespace {

// However patient the caller: what waits costs memory here.
constexpr absl::Duration kLongestWait = absl::Minutes(1);

absl::Duration PatienceOf(const rpc::Call& call) {
  const std::vector<std::string_view> timeout = call.Metadata("grpc-timeout");
  return std::min(kLongestWait, timeout.empty() ? kLongestWait : ParseGrpcTimeout(timeout.front()));
}

}  // namespace

void Admit(State& state, const Admission& admission, const rpc::Responder& responder,
           std::function<void()> go) {
  rpc::Call* const call = responder.call();
  if (call == nullptr) {
    return;
  }
  if (admission.limit == nullptr || call->peer().address.empty()) {
    go();
    return;
  }
  const absl::StatusOr<absl::Duration> wait =
      admission.limit->Take(HostOf(call->peer().address), admission.cost, PatienceOf(*call));
  if (!wait.ok()) {
    responder.Fail(ApiError(wait.status().code(), admission.rejection, wait.status()));
    return;
  }
  if (*wait == absl::ZeroDuration()) {
    go();
    return;
  }
  state.loop.After(*wait, [responder, go = std::move(go)] {
    if (responder.call() != nullptr) {
      go();
    }
  });
}

}  // namespace assay
