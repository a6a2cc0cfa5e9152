// SPDX-License-Identifier: GPL-3.0-or-later
// The Delegated Identity API on a socket of the test's own, over a state that the test changes.
// Whoever calls is a process with the selector unix:uid:1; processes to refer to are the test's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "assay/roles.pb.h"
#include "spire/api/agent/delegatedidentity/v1/delegatedidentity.pb.h"
#include "tests/support/fake_audit.h"
#include "tests/support/test_server.h"
#include "tests/support/test_workload_api.h"
#include "workload-api/delegated_identity_service.h"

namespace assay {

// Processes by number, each with the selectors that an attestation finds.
class FakeProcesses final : public ReferredProcesses {
 public:
  absl::StatusOr<std::unique_ptr<ReferredProcess>> Open(pid_t pid, uid_t /*asker*/,
                                                        std::function<void()> ended) override {
    if (!found.contains(pid)) {
      return NotFound("there is no process {}", pid);
    }
    ++open;
    ended_[pid] = std::move(ended);
    return std::make_unique<Process>(*this, pid);
  }
  // The process does, and its number is free.
  void End(pid_t pid) {
    found.erase(pid);
    if (const auto at = ended_.find(pid); at != ended_.end()) {
      const auto ended = at->second;
      ended();
    }
  }

  std::map<pid_t, absl::StatusOr<std::vector<Selector>>> found;
  int open = 0;
  int attestations = 0;
  bool waits = false;  // Attestations take until this is false again, and Answer is called.
  void Answer() {
    for (auto& [process, attested] : std::exchange(waiting_, {})) {
      attested(found.at(process->pid));
    }
  }

 private:
  struct Process final : ReferredProcess {
    Process(FakeProcesses& of, pid_t number) : processes(of), pid(number) {}
    ~Process() override {
      --processes.open;
      processes.ended_.erase(pid);
      processes.waiting_.erase(this);
    }
    void Attest(Attested attested) override {
      ++processes.attestations;
      if (processes.waits) {
        processes.waiting_[this] = std::move(attested);
      } else {
        attested(processes.found.at(pid));
      }
    }
    FakeProcesses& processes;
    const pid_t pid;
  };

  std::map<pid_t, std::function<void()>> ended_;
  std::map<Process*, ReferredProcess::Attested> waiting_;
};

namespace delegated = spire::api::agent::delegatedidentity::v1;

constexpr const char* kNotAuthorized = "7 caller not configured as an authorized delegate";

class TestDelegatedIdentity {
 public:
  using Change = roles::StateChange;

  TestDelegatedIdentity() {
    service_.Authorize({"spiffe://example.org/delegate"});
    service_.AddTo(server_.registry);
    server_.Start();
    client_ = server_.Connect();
    gate_.answer = sets_.Get({{"unix", "uid:1"}});
  }
  // The server first: its calls use the rest.
  ~TestDelegatedIdentity() { server_.Stop(); }

  void Commit(Change change) {
    change.set_commit(true);
    ASSERT_OK(state_.Receive(std::move(change)));
    jwt_tokens_.Reconcile();
    sets_.Refresh();
    service_.Refresh();
  }
  static roles::Entry& AddEntry(Change& change, const std::string& id, const std::string& value) {
    roles::Entry& entry = *change.add_entries();
    entry.set_id(id);
    entry.set_spiffe_id("spiffe://example.org/" + id);
    roles::Selector& selector = *entry.add_selectors();
    selector.set_type("unix");
    selector.set_value(value);
    return entry;
  }
  void AddSvid(Change& change, const std::string& id, const std::string& key = "key") const {
    roles::Svid& svid = *change.add_svids();
    svid.set_entry_id(id);
    svid.set_chain(Der("leaf of " + id) + Der("between"));
    svid.set_key(key);
    svid.set_expires_at(absl::ToUnixSeconds(server_.clock.Now() + absl::Hours(1)));
  }
  static void AddBundle(Change& change, const std::string& trust_domain,
                        const std::string& authorities = "roots") {
    roles::Bundle& bundle = *change.add_bundles();
    bundle.set_trust_domain(trust_domain);
    bundle.set_x509_authorities(authorities);
  }
  // As far as the API looks into a certificate.
  static std::string Der(const std::string& content) {
    return std::string("\x30") + static_cast<char>(content.size()) + content;
  }
  // The delegate, a workload "w" of unix:uid:2 with an SVID, and the own bundle.
  Change First() const {
    Change change;
    change.set_reset(true);
    AddBundle(change, "example.org");
    AddEntry(change, "delegate", "uid:1");
    AddEntry(change, "w", "uid:2");
    AddSvid(change, "w");
    return change;
  }

  template <typename Request>
  static Request ForSelectors(const std::vector<Selector>& selectors) {
    Request request;
    for (const Selector& selector : selectors) {
      spire::api::types::Selector& added = *request.add_selectors();
      added.set_type(selector.type);
      added.set_value(selector.value);
    }
    return request;
  }
  template <typename Request>
  int32_t Start(const std::string& method, const Request& request) {
    return client_->Start("/spire.api.agent.delegatedidentity.v1.DelegatedIdentity/" + method,
                          request.SerializeAsString());
  }
  void Step() {
    for (int i = 0; i < 5; ++i) {
      client_->Step();
    }
  }
  template <typename Response>
  std::vector<Response> Messages(int32_t call) {
    Step();
    std::vector<Response> messages;
    for (const std::string& bytes : client_->stream(call).messages()) {
      EXPECT_TRUE(messages.emplace_back().ParseFromString(bytes));
    }
    return messages;
  }
  // "7 no identity issued", without the reason's id; empty while the call goes on.
  std::string StatusOf(int32_t call) {
    Step();
    const auto& stream = client_->stream(call);
    return stream.status() == -1
               ? ""
               : WithoutReason(fmt::format("{} {}", stream.status(), stream.message()));
  }

  int32_t Subscribe(const std::vector<Selector>& selectors, pid_t pid = 0) {
    auto request = ForSelectors<delegated::SubscribeToX509SVIDsRequest>(selectors);
    request.set_pid(pid);
    return Start("SubscribeToX509SVIDs", request);
  }
  int32_t SubscribeToWorkload() { return Subscribe({{"unix", "uid:2"}}); }
  // Of each message so far, the paths of the identities: "/w".
  std::vector<std::vector<std::string>> Paths(int32_t call) {
    std::vector<std::vector<std::string>> all;
    for (const auto& message : Messages<delegated::SubscribeToX509SVIDsResponse>(call)) {
      all.emplace_back();
      for (const auto& svid : message.x509_svids()) {
        all.back().push_back(svid.x509_svid().id().path());
      }
    }
    return all;
  }
  int32_t SubscribeToBundles() {
    return Start("SubscribeToX509Bundles", delegated::SubscribeToX509BundlesRequest());
  }
  // Of each message so far: "spiffe://example.org=roots spiffe://b.test=b".
  std::vector<std::string> Bundles(int32_t call) {
    std::vector<std::string> all;
    for (const auto& message : Messages<delegated::SubscribeToX509BundlesResponse>(call)) {
      const std::map<std::string, std::string> sorted(message.ca_certificates().begin(),
                                                      message.ca_certificates().end());
      std::string& text = all.emplace_back();
      for (const auto& [id, certificates] : sorted) {
        text += (text.empty() ? "" : " ") + id + "=" + certificates;
      }
    }
    return all;
  }
  void Remove(const std::string& entry_id) {
    Change change;
    change.add_removed_entries(entry_id);
    Commit(change);
  }

  TestServer server_;
  ServedState state_;
  std::vector<std::string> wanted_;
  IdentitySets sets_{state_,
                     server_.clock,
                     server_.loop(),
                     {.trust_domain = "example.org",
                      .want =
                          [this](const std::vector<std::string>& ids) {
                            wanted_.insert(wanted_.end(), ids.begin(), ids.end());
                          },
                      .used = [](const std::vector<std::string>&) {}}};
  std::vector<roles::ServeRequest> requests_;  // To the identity role, of JWT-SVIDs.
  JwtTokens jwt_tokens_{
      server_.loop(),
      server_.clock,
      state_,
      {.trust_domain = "example.org", .tell = [this](const roles::ServeRequest& request) {
         requests_.push_back(request);
         return true;
       }}};
  FakeGate gate_;
  FakeAudit audit_;
  FakeProcesses processes_;
  int refused_ = 0;
  LastRefusals last_refusals_{server_.clock};
  DelegatedIdentityService service_{{server_.loop(), server_.clock, state_, gate_, sets_,
                                     jwt_tokens_, processes_, last_refusals_, &audit_},
                                    [this] { ++refused_; }};
  std::unique_ptr<Http2Client> client_;
};

}  // namespace assay
