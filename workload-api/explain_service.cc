// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/explain_service.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "assay/agent/v1/explain.pb.h"
#include "workload-api/explain_answers.h"

namespace assay {
namespace {

using agent::v1::ExplainProcessRequest;
using agent::v1::ExplainProcessResponse;
using agent::v1::ExplainRefusalsRequest;
using agent::v1::ExplainRefusalsResponse;

using Found = std::vector<FoundEntries>;

// What both calls share: there are few at a time, and they end with a search of the entries.
template <typename Request>
class ExplainCall : public rpc::UnaryHandler {
 public:
  ExplainCall(rpc::Call& call, const ExplainService::Parts& parts)
      : rpc::UnaryHandler(call), parts_(parts) {
    ++parts_.calls;
  }
  ~ExplainCall() override {
    parts_.search.Cancel(search_);
    --parts_.calls;
  }

 protected:
  virtual void Explain(const Request& request) = 0;
  void SearchFor(std::vector<std::vector<Selector>> processes) {
    search_ = parts_.search.Begin(std::move(processes), [this](auto found) {
      search_ = 0;
      found.ok() ? Answer(*found) : End(found.status());
    });
  }
  void End(const absl::Status& why) {
    parts_.search.Cancel(std::exchange(search_, 0));
    call_.Finish(why);
  }
  void Reply(const google::protobuf::MessageLite& message) {
    call_.Send(std::make_shared<const rpc::Frame>(message));
    call_.Finish(absl::OkStatus());
  }
  // For each process what was found.
  virtual void Answer(const Found& found) = 0;
  const ExplainService::Parts& parts() const { return parts_; }

 private:
  bool Serve(std::string_view bytes, rpc::Responder /*responder*/) final {
    Request request;
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return false;
    }
    if (parts_.calls > ExplainService::kMostCalls) {
      End(ResourceExhausted("too many explanations are asked for at this time"));
    } else {
      Explain(request);
    }
    return true;
  }

  const ExplainService::Parts& parts_;
  uint64_t search_ = 0;
};

class ExplainProcess final : public ExplainCall<ExplainProcessRequest> {
 public:
  using ExplainCall::ExplainCall;

 private:
  void Explain(const ExplainProcessRequest& request) override {
    pid_ = request.pid();
    auto process =
        pid_ > 0 ? parts().processes.Open(pid_, call_.peer().process.uid, [this] { OnEnded(); })
                 : InvalidArgument("{} is no process's number", pid_);
    if (!process.ok()) {
      End(process.status());
      return;
    }
    process_ = *std::move(process);
    process_->Attest([this](auto selectors) { OnAttested(std::move(selectors)); });
  }

  void OnEnded() {
    process_.reset();
    End(NotFound("process {} has ended", pid_));
  }

  void OnAttested(absl::StatusOr<std::vector<Selector>> selectors) {
    if (absl::IsNotFound(selectors.status())) {
      End(selectors.status());
      return;
    }
    agent::v1::Explanation& explanation = *response_.mutable_explanation();
    FillAttestors(process_->LastRuns(), selectors.ok() ? *selectors : std::vector<Selector>(),
                  explanation);
    if (selectors.ok()) {
      SearchFor({*std::move(selectors)});
    } else {
      explanation.set_error(std::string(Message(selectors.status())));
      Reply(response_);
    }
  }

  void Answer(const Found& found) override {
    FillEntries(found.front(), parts().state.entries().size(), *response_.mutable_explanation());
    Reply(response_);
  }

  pid_t pid_ = 0;
  std::unique_ptr<ReferredProcess> process_;
  ExplainProcessResponse response_;
};

class ExplainRefusals final : public ExplainCall<ExplainRefusalsRequest> {
 public:
  using ExplainCall::ExplainCall;

 private:
  void Explain(const ExplainRefusalsRequest& request) override {
    std::vector<const Refusal*> refusals;
    if (request.reason().empty()) {
      const size_t limit = request.limit() == 0 ? ExplainService::kUsualRefusals : request.limit();
      refusals = parts().refusals.Newest(std::min(limit, ExplainService::kMostRefusals));
    } else if (const Refusal* refusal = parts().refusals.Find(request.reason())) {
      refusals.push_back(refusal);
    } else {
      End(NotFound("no refusal of reason {} is remembered", Quoted(request.reason())));
      return;
    }
    std::vector<std::vector<Selector>> processes;
    for (const Refusal* refusal : refusals) {
      agent::v1::Refusal& told = *response_.add_refusals();
      FillRefusal(*refusal, told);
      if (refusal->attested) {
        processes.push_back(refusal->selectors);
        attested_.push_back(&told);
      }
    }
    if (processes.empty()) {
      Reply(response_);
    } else {
      SearchFor(std::move(processes));
    }
  }

  void Answer(const Found& found) override {
    for (size_t i = 0; i < found.size(); ++i) {
      FillEntries(found[i], parts().state.entries().size(), *attested_[i]->mutable_explanation());
    }
    Reply(response_);
  }

  ExplainRefusalsResponse response_;
  std::vector<agent::v1::Refusal*> attested_;  // Of the response's, in the search's order.
};

}  // namespace

void ExplainService::AddTo(rpc::Registry& registry) {
  registry.Add("/assay.agent.v1.Explain/ExplainProcess",
               [this](rpc::Call& call) { return std::make_unique<ExplainProcess>(call, parts_); });
  registry.Add("/assay.agent.v1.Explain/ExplainRefusals",
               [this](rpc::Call& call) { return std::make_unique<ExplainRefusals>(call, parts_); });
}

}  // namespace assay
