// SPDX-License-Identifier: GPL-3.0-or-later
// SDS on a socket of the test's own, over a state that the test changes and a gate that admits
// everybody as the test says.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "assay/roles.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "envoy/service/discovery/v3/discovery.pb.h"
#include "tests/support/fake_audit.h"
#include "tests/support/test_callers.h"
#include "workload-api/sds_service.h"

namespace assay {

namespace discovery = envoy::service::discovery::v3;

constexpr std::string_view kSdsService = "/envoy.service.secret.v3.SecretDiscoveryService/";
constexpr std::string_view kDer = "\x30\x01\x01";  // Of some kind.

// The names in an answer, without the trust domain's part: "a", "default", "spiffe://example.org".
template <typename Response>
std::vector<std::string> NamesIn(const Response& response) {
  std::vector<std::string> names;
  for (const auto& any : response.resources()) {
    envoy::extensions::transport_sockets::tls::v3::Secret secret;
    EXPECT_TRUE(secret.ParseFromString(any.value()));
    std::string name = secret.name();
    const std::string prefix = "spiffe://example.org/";
    names.push_back(name.starts_with(prefix) ? name.substr(prefix.size()) : name);
  }
  return names;
}

class SdsTest : public testing::Test, public TestCallers {
 protected:
  SdsTest() {
    service_.AddTo(server_.registry);
    Start();
  }
  // The server first: its calls use the rest.
  ~SdsTest() override { server_.Stop(); }

  void Begin() {
    Change first = Bundle("example.org", kDer);
    first.set_reset(true);
    Commit(first);
    Admit();
  }
  void Commit(Change change) {
    TestCallers::Commit(std::move(change));
    Step();
  }
  static Change Entry(const std::string& id, const std::string& hint = "") {
    Change change = TestCallers::Entry(id, hint);
    change.mutable_entries(0)->add_federates_with("other.org");
    return change;
  }
  Change Svid(const std::string& id, int serial = 1) {
    return TestCallers::Svid(id, fmt::format("{}{}", "\x30\x01", static_cast<char>(serial)));
  }
  void Grant(const std::string& id) {
    Commit(Entry(id));
    Commit(Svid(id));
  }

  static discovery::DiscoveryRequest Whole(const std::vector<std::string>& names) {
    discovery::DiscoveryRequest request;
    request.mutable_resource_names()->Assign(names.begin(), names.end());
    return request;
  }
  static discovery::DeltaDiscoveryRequest Delta(const std::vector<std::string>& subscribe,
                                                const std::vector<std::string>& unsubscribe = {}) {
    discovery::DeltaDiscoveryRequest request;
    request.mutable_resource_names_subscribe()->Assign(subscribe.begin(), subscribe.end());
    request.mutable_resource_names_unsubscribe()->Assign(unsubscribe.begin(), unsubscribe.end());
    return request;
  }
  template <typename Request>
  int32_t Open(const std::string& method, const Request& request) {
    const int32_t call = client_->Open(Http2Client::GrpcHeaders(std::string(kSdsService) + method));
    Say(call, request);
    return call;
  }
  template <typename Request>
  void Say(int32_t call, const Request& request) {
    client_->Send(call, Http2Client::Framed(request.SerializeAsString()));
    Step();
  }
  // All answers so far.
  template <typename Response>
  std::vector<Response> Answers(int32_t call) {
    Step();
    std::vector<Response> answers;
    for (const std::string& bytes : client_->stream(call).messages()) {
      EXPECT_TRUE(answers.emplace_back().ParseFromString(bytes));
    }
    return answers;
  }
  std::vector<std::vector<std::string>> Sent(int32_t call) {
    std::vector<std::vector<std::string>> sent;
    for (const auto& answer : Answers<discovery::DiscoveryResponse>(call)) {
      sent.push_back(NamesIn(answer));
    }
    return sent;
  }
  // "+a -b": what was new and what gone in each answer.
  std::vector<std::string> DeltasSent(int32_t call) {
    std::vector<std::string> sent;
    for (const auto& answer : Answers<discovery::DeltaDiscoveryResponse>(call)) {
      std::string& text = sent.emplace_back();
      for (const auto& resource : answer.resources()) {
        text += fmt::format("+{} ", resource.name());
      }
      for (const std::string& removed : answer.removed_resources()) {
        text += fmt::format("-{} ", removed);
      }
    }
    return sent;
  }
  // An answer to the newest of a stream's answers.
  discovery::DiscoveryRequest Taken(int32_t call, const std::vector<std::string>& names) {
    const auto answers = Answers<discovery::DiscoveryResponse>(call);
    discovery::DiscoveryRequest request = Whole(names);
    request.set_response_nonce(answers.back().nonce());
    request.set_version_info(answers.back().version_info());
    return request;
  }
  bool Ended(int32_t call) {
    Step();
    return client_->stream(call).closed;
  }
  static std::string Id(const std::string& name) { return "spiffe://example.org/" + name; }

  int refused_ = 0;
  const std::function<void()> on_refused_ = [this] { ++refused_; };
  RefusalLog<uid_t> refusals_{server_.loop(), "uid"};
  ShownSelectors shown_;
  LastRefusals last_refusals_{server_.clock};
  FakeAudit audit_;
  SdsService service_{{.service = "SDS.v3",
                       .loop = server_.loop(),
                       .clock = server_.clock,
                       .state = state_,
                       .gate = gate_,
                       .first_state_deadline = server_.clock.SinceBoot() + absl::Seconds(1),
                       .on_refused = on_refused_,
                       .refusals = refusals_,
                       .shown = shown_,
                       .last_refusals = last_refusals_,
                       .audit = &audit_},
                      "example.org",
                      {}};
};

}  // namespace assay
