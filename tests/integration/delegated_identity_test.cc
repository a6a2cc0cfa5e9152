// SPDX-License-Identifier: GPL-3.0-or-later
// The Delegated Identity API as delegates see it: real serve and probe processes, gRPC's own
// client, and processes of another user that a delegate refers to.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "spire/api/agent/delegatedidentity/v1/delegatedidentity.grpc.pb.h"
#include "tests/integration/process_caller.h"
#include "tests/integration/role_harness.h"

namespace assay {
namespace {

namespace v1 = spire::api::agent::delegatedidentity::v1;
using testing::ElementsAre;

constexpr uid_t kWorkload = 61234;
constexpr const char* kDelegate = "spiffe://example.org/delegate";

void AddEntry(roles::StateChange& change, const std::string& id, uid_t uid) {
  roles::Entry& entry = *change.add_entries();
  entry.set_id(id);
  entry.set_spiffe_id("spiffe://example.org/" + id);
  entry.add_selectors()->set_type("unix");
  entry.mutable_selectors(0)->set_value("uid:" + std::to_string(uid));
}

void AddSvid(roles::StateChange& change, const std::string& id, const std::string& key = "key") {
  roles::Svid& svid = *change.add_svids();
  svid.set_entry_id(id);
  svid.set_chain("\x30\x01x");
  svid.set_key(key);
  svid.set_expires_at(4'000'000'000);
}

// The test is the delegate, as its user; the workload is another user's.
class DelegatedIdentityIntegrationTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) {
      GTEST_SKIP() << "only root has processes of other users to refer to";
    }
    roles::StateChange first;
    first.set_reset(true);
    first.add_bundles()->set_trust_domain("example.org");
    first.mutable_bundles(0)->set_x509_authorities("roots");
    AddEntry(first, "delegate", 0);
    AddEntry(first, "w", kWorkload);
    AddSvid(first, "w");
    Commit(first);
    // The first call after the state has been taken.
    EXPECT_TRUE(harness_.AwaitReady(roles::SERVE));
    stub_ = v1::DelegatedIdentity::NewStub(
        grpc::CreateChannel("unix:" + harness_.admin_socket(), grpc::InsecureChannelCredentials()));
  }
  void Commit(roles::StateChange change) {
    change.set_commit(true);
    harness_.Send(change);
  }

  RoleHarness harness_{{.authorized_delegates = {kDelegate}}};
  std::unique_ptr<v1::DelegatedIdentity::Stub> stub_;
};

// An open SubscribeToX509SVIDs for a process.
class Subscription final {
 public:
  Subscription(v1::DelegatedIdentity::Stub& stub, pid_t pid) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::SubscribeToX509SVIDsRequest request;
    request.set_pid(pid);
    reader_ = stub.SubscribeToX509SVIDs(&context_, request);
  }
  ~Subscription() { context_.TryCancel(); }

  // The identities of the next message, each with its key; "end" when the stream ended instead.
  std::vector<std::string> Next() {
    v1::SubscribeToX509SVIDsResponse response;
    if (!reader_->Read(&response)) {
      return {"end"};
    }
    std::vector<std::string> found;
    for (const auto& svid : response.x509_svids()) {
      found.push_back(svid.x509_svid().id().path() + " " + svid.x509_svid_key());
    }
    return found;
  }
  std::pair<int, std::string> Finish() {
    const grpc::Status status = reader_->Finish();
    return {status.error_code(), status.error_message()};
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::SubscribeToX509SVIDsResponse>> reader_;
};

TEST_F(DelegatedIdentityIntegrationTest, AProcessGetsItsSvidsUntilItEnds) {
  ProcessCaller workload(harness_.socket(), kWorkload);
  const pid_t pid = workload.pid();
  Subscription subscription(*stub_, pid);
  EXPECT_THAT(subscription.Next(), ElementsAre("/w key"));
  roles::StateChange renewed;
  AddSvid(renewed, "w", "new");
  Commit(renewed);
  EXPECT_THAT(subscription.Next(), ElementsAre("/w new"));
  workload.Kill();
  EXPECT_THAT(subscription.Next(), ElementsAre("end"));
  EXPECT_EQ(subscription.Finish(), std::pair(static_cast<int>(grpc::NOT_FOUND),
                                             "process " + std::to_string(pid) + " has ended"));
}

TEST_F(DelegatedIdentityIntegrationTest, ProcessesThatThereAreNot) {
  pid_t gone = 0;
  {
    ProcessCaller workload(harness_.socket(), kWorkload);
    gone = workload.pid();
  }
  for (const pid_t pid : {gone, -1, INT32_MIN, INT32_MAX}) {
    Subscription subscription(*stub_, pid);
    EXPECT_THAT(subscription.Next(), ElementsAre("end"));
    EXPECT_EQ(subscription.Finish(), std::pair(static_cast<int>(grpc::UNAVAILABLE),
                                               std::string("workload attestation failed")))
        << pid;
  }
  Subscription none(*stub_, 0);
  EXPECT_THAT(none.Next(), ElementsAre("end"));
  EXPECT_EQ(none.Finish().first, grpc::INVALID_ARGUMENT);
  // The first process of the machine is one as others; it has root's identities.
  roles::StateChange change;
  AddSvid(change, "delegate");
  Commit(change);
  Subscription first(*stub_, 1);
  EXPECT_THAT(first.Next(), ElementsAre("/delegate key"));
}

TEST_F(DelegatedIdentityIntegrationTest, AStreamGoesOnWhenTheProbeDies) {
  ProcessCaller workload(harness_.socket(), kWorkload);
  Subscription subscription(*stub_, workload.pid());
  EXPECT_THAT(subscription.Next(), ElementsAre("/w key"));
  harness_.Restart(roles::PROBE);
  roles::StateChange renewed;
  AddSvid(renewed, "w", "new");
  Commit(renewed);
  EXPECT_THAT(subscription.Next(), ElementsAre("/w new"));
}

TEST_F(DelegatedIdentityIntegrationTest, AnotherUsersProcessIsNoDelegate) {
  ProcessCaller thief(harness_.admin_socket(), kWorkload);
  const UniqueFd connection = thief.TakeConnection();
  fcntl(connection.get(), F_SETFL, O_NONBLOCK);
  const auto stub = v1::DelegatedIdentity::NewStub(
      grpc::CreateInsecureChannelFromFd("connection", dup(connection.get())));
  Subscription subscription(*stub, thief.pid());
  EXPECT_THAT(subscription.Next(), ElementsAre("end"));
  EXPECT_EQ(subscription.Finish(),
            std::pair(static_cast<int>(grpc::PERMISSION_DENIED),
                      std::string("caller not configured as an authorized delegate")));
}

}  // namespace
}  // namespace assay
