// SPDX-License-Identifier: GPL-3.0-or-later
// Callers of services on a socket of the test's own, over a state that the test changes and a gate
// that admits everybody as the test says.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "assay/roles.pb.h"
#include "tests/support/test_server.h"
#include "workload-api/caller_gate.h"

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
  void AdmitWaiting() {
    for (const Admitted& admitted : std::exchange(waiting, {})) {
      admitted(answer);
    }
  }
  void Observe(rpc::Call&, CallerObserver& observer) override { observed = &observer; }
  void Forget(rpc::Call&, CallerObserver&) override {}
  AuditedCaller Audited(rpc::Call&) override {
    AuditedCaller caller;
    caller.cgroup = "/somewhere";
    return caller;
  }
  AttestorRuns LastRuns(rpc::Call&) override { return runs; }

  absl::StatusOr<std::shared_ptr<IdentitySet>> answer = Unavailable("unset");
  CallerObserver* observed = nullptr;
  int asked = 0;
  AttestorRuns runs;
  bool waits = false;  // Who asks waits for AdmitWaiting.
  std::vector<Admitted> waiting;
};

// "no identity issued", without the id behind it.
inline std::string WithoutReason(const std::string& text) {
  return text.substr(0, text.find(" (reason="));
}

class TestCallers {
 public:
  using Change = roles::StateChange;

  virtual ~TestCallers() = default;

  // Lets callers in as those with the selector unix:uid:1.
  void Admit() { gate_.answer = sets_.Get({{"unix", "uid:1"}}); }
  void Commit(Change change) {
    change.set_commit(true);
    ASSERT_OK(state_.Receive(std::move(change)));
    OnCommit();
    sets_.Refresh();
  }
  static Change Bundle(std::string_view trust_domain, std::string_view authorities) {
    Change change;
    roles::Bundle& bundle = *change.add_bundles();
    bundle.set_trust_domain(std::string(trust_domain));
    bundle.set_x509_authorities(std::string(authorities));
    return change;
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
  static Change Without(const std::string& id) {
    Change change;
    change.add_removed_entries(id);
    return change;
  }
  Change Svid(const std::string& id, const std::string& chain = "chain") {
    Change change;
    roles::Svid& svid = *change.add_svids();
    svid.set_entry_id(id);
    svid.set_chain(chain);
    svid.set_key("key");
    svid.set_expires_at(absl::ToUnixSeconds(server_.clock.Now() + absl::Hours(1)));
    return change;
  }
  void Step() {
    for (int i = 0; i < 5; ++i) {
      client_->Step();
    }
  }

  TestServer server_;
  ServedState state_;
  int wanted_ = 0;
  IdentitySets sets_{state_,
                     server_.clock,
                     server_.loop(),
                     {.trust_domain = "example.org",
                      .want = [this](const std::vector<std::string>&) { ++wanted_; },
                      .used = [](const std::vector<std::string>&) {}}};
  FakeGate gate_;
  std::unique_ptr<Http2Client> client_;

 protected:
  // A state is committed, of which sets do not know yet.
  virtual void OnCommit() {}
  // When the services are in the server's registry.
  void Start() {
    server_.Start();
    client_ = server_.Connect();
  }
};

}  // namespace assay
