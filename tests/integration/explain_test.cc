// SPDX-License-Identifier: GPL-3.0-or-later
// Explain as operators see it: real serve and probe processes, gRPC's own client, and callers that
// are refused on the Workload API's socket.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "assay/agent/v1/explain.grpc.pb.h"
#include "spiffe/workload.grpc.pb.h"
#include "tests/integration/process_caller.h"
#include "tests/integration/role_harness.h"

namespace assay {
namespace {

namespace v1 = agent::v1;
using testing::Contains;
using testing::ElementsAre;
using testing::MatchesRegex;

std::string OwnUid() { return "uid:" + std::to_string(geteuid()); }

class ExplainIntegrationTest : public testing::Test {
 protected:
  void SetUp() override {
    roles::StateChange first;
    first.set_reset(true);
    first.set_commit(true);
    first.add_bundles()->set_trust_domain("example.org");
    // For this user in a group that there is not, and for somebody else.
    AddEntry(first, "near", {OwnUid(), "gid:4242424242"});
    AddEntry(first, "far", {"uid:4242424242"});
    harness_.Send(first);
    // The first call after the state has been taken.
    EXPECT_TRUE(harness_.AwaitReady(roles::SERVE));
    explain_ = v1::Explain::NewStub(
        grpc::CreateChannel("unix:" + harness_.admin_socket(), grpc::InsecureChannelCredentials()));
    workload_ = SpiffeWorkloadAPI::NewStub(
        grpc::CreateChannel(harness_.target(), grpc::InsecureChannelCredentials()));
  }
  static void AddEntry(roles::StateChange& change, const std::string& id,
                       const std::vector<std::string>& values) {
    roles::Entry& entry = *change.add_entries();
    entry.set_id(id);
    entry.set_spiffe_id("spiffe://example.org/" + id);
    for (const std::string& value : values) {
      roles::Selector& selector = *entry.add_selectors();
      selector.set_type("unix");
      selector.set_value(value);
    }
  }
  static void SetDeadline(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }
  grpc::Status Fetch() {
    grpc::ClientContext context;
    SetDeadline(context);
    context.AddMetadata("workload.spiffe.io", "true");
    const auto reader = workload_->FetchX509SVID(&context, {});
    X509SVIDResponse response;
    return reader->Read(&response) ? grpc::Status::OK : reader->Finish();
  }
  grpc::Status Explain(pid_t pid, v1::ExplainProcessResponse& response) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ExplainProcessRequest request;
    request.set_pid(pid);
    return explain_->ExplainProcess(&context, request, &response);
  }
  v1::ExplainRefusalsResponse Refusals(const std::string& reason) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ExplainRefusalsRequest request;
    request.set_reason(reason);
    v1::ExplainRefusalsResponse response;
    const grpc::Status status = explain_->ExplainRefusals(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  static void ExpectNear(const v1::Explanation& told) {
    ASSERT_EQ(told.attestors_size(), 1);
    EXPECT_EQ(told.attestors(0).name(), "unix");
    EXPECT_EQ(told.attestors(0).error(), "");
    EXPECT_THAT(told.attestors(0).selectors(), Contains("unix:" + OwnUid()));
    EXPECT_GT(told.attestors(0).microseconds(), 0);
    EXPECT_EQ(told.entries_count(), 2U);
    EXPECT_EQ(told.matched_count(), 0U);
    ASSERT_EQ(told.nearest_size(), 2);
    EXPECT_EQ(told.nearest(0).spiffe_id(), "spiffe://example.org/near");
    EXPECT_THAT(told.nearest(0).missing(), ElementsAre("unix:gid:4242424242"));
    EXPECT_EQ(told.nearest(1).id(), "far");
  }

  RoleHarness harness_;
  std::unique_ptr<v1::Explain::Stub> explain_;
  std::unique_ptr<SpiffeWorkloadAPI::Stub> workload_;
};

TEST_F(ExplainIntegrationTest, ARefusedCallIsFoundByTheIdInItsError) {
  const grpc::Status refused = Fetch();
  EXPECT_EQ(refused.error_code(), grpc::PERMISSION_DENIED);
  ASSERT_THAT(refused.error_message(),
              MatchesRegex("no identity issued \\(reason=[0-9A-Z]{12}\\)"));
  const std::string text = refused.error_message();
  const std::string reason = text.substr(text.find('=') + 1, 12);
  const v1::ExplainRefusalsResponse response = Refusals(reason);
  ASSERT_EQ(response.refusals_size(), 1);
  const v1::Refusal& refusal = response.refusals(0);
  EXPECT_EQ(refusal.reason(), reason);
  EXPECT_EQ(refusal.pid(), getpid());
  EXPECT_EQ(refusal.uid(), geteuid());
  EXPECT_EQ(refusal.method(), "FetchX509SVID");
  ExpectNear(refusal.explanation());
  EXPECT_EQ(Fetch().error_message(), refused.error_message()) << "the same is refused again";
  EXPECT_EQ(Refusals("").refusals(0).count(), 2U);
}

TEST_F(ExplainIntegrationTest, AProcessIsExplainedThatHasNeverCalled) {
  v1::ExplainProcessResponse response;
  const grpc::Status status = Explain(getpid(), response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ExpectNear(response.explanation());
  roles::StateChange change;
  change.set_commit(true);
  AddEntry(change, "mine", {OwnUid()});
  harness_.Send(change);
  // Serve takes it when it comes to it.
  do {
    ASSERT_TRUE(Explain(getpid(), response).ok());
  } while (response.explanation().entries_count() < 3);
  ASSERT_EQ(response.explanation().matched_size(), 1);
  EXPECT_EQ(response.explanation().matched(0).id(), "mine");
  EXPECT_FALSE(response.explanation().matched(0).has_svid());
}

TEST_F(ExplainIntegrationTest, AProcessThatHasEndedIsNotFound) {
  pid_t gone = 0;
  {
    ProcessCaller caller(harness_.socket());
    gone = caller.pid();
  }
  v1::ExplainProcessResponse response;
  const grpc::Status status = Explain(gone, response);
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND) << status.error_message();
}

}  // namespace
}  // namespace assay
