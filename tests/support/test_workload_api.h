// SPDX-License-Identifier: GPL-3.0-or-later
// The Workload API on a socket of the test's own, over a state that the test changes and a gate
// that admits everybody as the test says.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "assay/roles.pb.h"
#include "tests/support/test_server.h"
#include "workload-api/workload_service.h"

namespace assay {

// Admits everybody to one set, or nobody.
class FakeGate final : public CallerGate {
 public:
  void Admit(rpc::Call&, Admitted admitted) override {
    ++asked;
    if (waits) {
      waiting.push_back(std::move(admitted));
    } else {
      admitted(answer);
    }
  }
  void Observe(rpc::Call&, CallerObserver& observer) override { observed = &observer; }
  void Forget(rpc::Call&, CallerObserver&) override {}

  absl::StatusOr<std::shared_ptr<IdentitySet>> answer = Unavailable("unset");
  CallerObserver* observed = nullptr;
  int asked = 0;
  bool waits = false;  // Nobody is answered.
  std::vector<Admitted> waiting;
};

class TestWorkloadApi {
 public:
  using Change = roles::StateChange;

  TestWorkloadApi() {
    service_.AddTo(server_.registry);
    server_.Start();
    client_ = server_.Connect();
  }
  // The server first: its calls use the rest.
  ~TestWorkloadApi() { server_.Stop(); }

  // Lets callers in as those with the selector unix:uid:1.
  void Admit() { gate_.answer = sets_.Get({{"unix", "uid:1"}}); }
  void Commit(Change change) {
    change.set_commit(true);
    ASSERT_OK(state_.Receive(std::move(change)));
    jwt_tokens_.Reconcile();
    sets_.Refresh();
  }
  // An entry for them.
  static Change Entry(const std::string& id, const std::string& hint = "") {
    Change change;
    roles::Entry& entry = *change.add_entries();
    entry.set_id(id);
    entry.set_spiffe_id("spiffe://example.org/" + id);
    entry.set_hint(hint);
    roles::Selector& selector = *entry.add_selectors();
    selector.set_type("unix");
    selector.set_value("uid:1");
    return change;
  }
  Change Svid(const std::string& id) {
    Change change;
    roles::Svid& svid = *change.add_svids();
    svid.set_entry_id(id);
    svid.set_chain("chain");
    svid.set_key("key");
    svid.set_expires_at(absl::ToUnixSeconds(server_.clock.Now() + absl::Hours(1)));
    return change;
  }

  int32_t Start(const std::string& method, const std::string& request = "") {
    return client_->Start("/SpiffeWorkloadAPI/" + method, request);
  }
  void Step() {
    for (int i = 0; i < 5; ++i) {
      client_->Step();
    }
  }
  std::vector<std::string> Messages(int32_t call) {
    Step();
    return client_->stream(call).messages();
  }
  // "7 no identity issued"; empty while the call goes on.
  std::string StatusOf(int32_t call) {
    Step();
    const auto& stream = client_->stream(call);
    return stream.status() == -1 ? "" : fmt::format("{} {}", stream.status(), stream.message());
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

  TestServer server_;
  ServedState state_;
  IdentitySets sets_{state_,
                     server_.clock,
                     server_.loop(),
                     {.trust_domain = "example.org",
                      .want = [](const std::vector<std::string>&) {},
                      .used = [](const std::vector<std::string>&) {}}};
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
  FakeGate gate_;
  WorkloadService service_{
      {server_.loop(), server_.clock, state_, gate_, jwt_tokens_},
      {.on_refused = [] {}, .jwt = {.trust_domain = "example.org", .allowed_foreign_claims = {}}}};
  std::unique_ptr<Http2Client> client_;
};

}  // namespace assay
