// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/admitted_call.h"

#include <algorithm>

#include "authority/id_convert.h"
#include "rpc/grpc_wire.h"

namespace assay {
namespace {

// However patient the caller: what waits costs memory here.
constexpr absl::Duration kLongestWait = absl::Minutes(1);

absl::Duration PatienceOf(const rpc::Call& call) {
  const std::vector<std::string_view> timeout = call.Metadata("grpc-timeout");
  if (timeout.empty()) {
    return kLongestWait;
  }
  return std::min(kLongestWait, rpc::ParseTimeout(timeout.front()).value_or(kLongestWait));
}

class AdmittedCall final : public rpc::CallHandler {
 public:
  AdmittedCall(State& state, Gate& gate, const Rule& rule, rpc::Call& call)
      : state_(state), gate_(gate), rule_(rule), call_(call) {}
  ~AdmittedCall() override;

  void Begin(const rpc::MakeHandler& make);
  void OnMessage(std::string_view bytes) override;
  void OnHalfClose() override;

 private:
  // A first message that waits for its tokens.
  struct Waiting {
    std::string caller;
    int cost;
    std::string bytes;
    EventLoop::TimerId timer;
  };

  bool MayGoOn();
  void Admit(std::string_view bytes);
  void Wait(Waiting waiting, absl::Duration delay);
  void GoOn();
  void End(const absl::Status& status, std::string_view details = {});

  State& state_;
  Gate& gate_;
  const Rule& rule_;
  rpc::Call& call_;
  std::unique_ptr<rpc::CallHandler> handler_;  // Null when the call was refused.
  std::optional<std::string> agent_;           // By which the call stands in state_.agent_calls.
  std::optional<Waiting> waiting_;
  bool began_ = false;  // A first message came.
  bool half_closed_ = false;
};

AdmittedCall::~AdmittedCall() {
  if (waiting_.has_value()) {
    state_.loop.Cancel(waiting_->timer);
    state_.waiting_room.Leave(waiting_->caller, waiting_->bytes.size());
    rule_.rate.limit->GiveBack(waiting_->caller, waiting_->cost);
  }
  if (agent_.has_value()) {
    state_.agent_calls.erase({*agent_, &call_});
  }
}

void AdmittedCall::Begin(const rpc::MakeHandler& make) {
  if (!MayGoOn()) {
    return;
  }
  if (rule_.access == Access::kAgent || rule_.access == Access::kAgentOrOperator) {
    if (const std::optional<SpiffeId> id = CallerId(call_.peer())) {
      agent_ = id->ToString();
      state_.agent_calls.insert({*agent_, &call_});
    }
  }
  handler_ = make(call_);
}

bool AdmittedCall::MayGoOn() {
  const Denial denial = gate_.Judge(rule_.access, call_.method(), call_.peer());
  if (!denial.status.ok()) {
    End(denial.status, denial.details);
  }
  return denial.status.ok();
}

void AdmittedCall::OnMessage(std::string_view bytes) {
  // No handler wants a second message before it has answered the first.
  if (handler_ == nullptr || waiting_.has_value()) {
    return;
  }
  if (bytes.size() > rule_.max_request_bytes) {
    End(ResourceExhausted("grpc: received message larger than max ({} vs. {})", bytes.size(),
                          rule_.max_request_bytes));
    return;
  }
  // The caller chose how long after the headers the message came.
  if (!MayGoOn()) {
    return;
  }
  if (began_) {
    handler_->OnMessage(bytes);
    return;
  }
  began_ = true;
  Admit(bytes);
}

void AdmittedCall::Admit(std::string_view bytes) {
  const RateRule& rate = rule_.rate;
  const int cost = rate.cost == nullptr ? 1 : rate.cost(bytes);
  // Callers on the admin socket have no limits.
  if (rate.limit == nullptr || call_.peer().address.empty() || cost == 0) {
    handler_->OnMessage(bytes);
    return;
  }
  std::string caller = rate.key == RateRule::Key::kAgent && agent_.has_value()
                           ? *agent_
                           : LimitedHost(call_.peer().address);
  const absl::StatusOr<absl::Duration> delay = rate.limit->Take(caller, cost, PatienceOf(call_));
  if (!delay.ok()) {
    End(ApiError(delay.status().code(), rate.rejection, delay.status()));
  } else if (*delay == absl::ZeroDuration()) {
    handler_->OnMessage(bytes);
  } else {
    Wait({.caller = std::move(caller), .cost = cost, .bytes = std::string(bytes), .timer = 0},
         *delay);
  }
}

void AdmittedCall::Wait(Waiting waiting, absl::Duration delay) {
  const absl::Status entered = state_.waiting_room.Enter(waiting.caller, waiting.bytes.size());
  if (!entered.ok()) {
    rule_.rate.limit->GiveBack(waiting.caller, waiting.cost);
    End(ApiError(entered.code(), rule_.rate.rejection, entered));
    return;
  }
  waiting.timer = state_.loop.After(delay, [this] { GoOn(); });
  waiting_ = std::move(waiting);
}

void AdmittedCall::GoOn() {
  const Waiting waited = *std::exchange(waiting_, std::nullopt);
  state_.waiting_room.Leave(waited.caller, waited.bytes.size());
  if (!MayGoOn()) {
    return;
  }
  handler_->OnMessage(waited.bytes);
  if (half_closed_ && handler_ != nullptr) {
    handler_->OnHalfClose();
  }
}

void AdmittedCall::OnHalfClose() {
  half_closed_ = true;
  if (handler_ != nullptr && !waiting_.has_value()) {
    handler_->OnHalfClose();
  }
}

void AdmittedCall::End(const absl::Status& status, std::string_view details) {
  handler_.reset();
  call_.Finish(status, details);
}

}  // namespace

std::unique_ptr<rpc::CallHandler> AdmitCall(State& state, Gate& gate, const Rule& rule,
                                            const rpc::MakeHandler& make, rpc::Call& call) {
  auto admitted = std::make_unique<AdmittedCall>(state, gate, rule, call);
  admitted->Begin(make);
  return admitted;
}

void EndCallsOf(State& state, const SpiffeId& agent, DenialReason reason) {
  const std::string id = agent.ToString();
  for (auto it = state.agent_calls.lower_bound({id, nullptr});
       it != state.agent_calls.end() && it->first == id; ++it) {
    rpc::Call& call = *it->second;
    const Denial denial =
        Deny(reason, fmt::format("authorization denied for method {}", call.method()));
    call.Finish(denial.status, denial.details);
  }
}

}  // namespace assay
