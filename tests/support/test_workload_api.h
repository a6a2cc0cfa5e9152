// SPDX-License-Identifier: GPL-3.0-or-later
// The Workload API on a socket of the test's own, over a state that the test changes and a gate
// that admits everybody as the test says.
#pragma once

#include <string>
#include <vector>

#include "assay/roles.pb.h"
#include "tests/support/fake_audit.h"
#include "tests/support/test_callers.h"
#include "workload-api/workload_service.h"

namespace assay {

class TestWorkloadApi : public TestCallers {
 public:
  TestWorkloadApi() {
    service_.AddTo(server_.registry);
    TestCallers::Start();
  }
  // The server first: its calls use the rest.
  ~TestWorkloadApi() override { server_.Stop(); }

  int32_t Start(const std::string& method, const std::string& request = "") {
    return client_->Start("/SpiffeWorkloadAPI/" + method, request);
  }
  std::vector<std::string> Messages(int32_t call) {
    Step();
    return client_->stream(call).messages();
  }
  // "7 no identity issued", without the reason's id; empty while the call goes on.
  std::string StatusOf(int32_t call) {
    Step();
    const auto& stream = client_->stream(call);
    return stream.status() == -1
               ? ""
               : WithoutReason(fmt::format("{} {}", stream.status(), stream.message()));
  }
  template <typename Response>
  struct Outcome {
    std::string status;
    Response response;
  };
  template <typename Response>
  Outcome<Response> Finished(int32_t call) {
    Outcome<Response> outcome{StatusOf(call), {}};
    const std::vector<std::string> messages = Messages(call);
    if (!messages.empty()) {
      EXPECT_TRUE(outcome.response.ParseFromString(messages.front()));
    }
    return outcome;
  }
  template <typename Response, typename Request>
  Outcome<Response> Call(const std::string& method, const Request& request) {
    return Finished<Response>(Start(method, request.SerializeAsString()));
  }

  std::vector<roles::ServeRequest> requests_;  // To the identity role, of JWT-SVIDs.
  bool identity_reads_ = true;
  JwtTokens jwt_tokens_{
      server_.loop(),
      server_.clock,
      state_,
      {.trust_domain = "example.org", .tell = [this](const roles::ServeRequest& request) {
         if (identity_reads_) {
           requests_.push_back(request);
         }
         return identity_reads_;
       }}};
  FakeAudit audit_;
  WorkloadService service_{
      {server_.loop(), server_.clock, state_, gate_, jwt_tokens_, &audit_},
      {.on_refused = [] {}, .jwt = {.trust_domain = "example.org", .allowed_foreign_claims = {}}}};

 protected:
  void OnCommit() override { jwt_tokens_.Reconcile(); }
};

}  // namespace assay
