// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/workload_attestor.h"

#include <absl/strings/numbers.h>
#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <atomic>

#include "spire/plugin/agent/workloadattestor/v1/workloadattestor.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_plugin.h"

namespace assay {
namespace {

namespace attestor = spire::plugin::agent::workloadattestor::v1;

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kAttest[] = "/spire.plugin.agent.workloadattestor.v1.WorkloadAttestor/Attest";
constexpr char kReference[] =
    "/spire.plugin.agent.workloadattestor.v1.WorkloadAttestor/AttestReference";

class WorkloadAttestorPluginTest : public testing::Test {
 protected:
  void Answer(std::function<absl::StatusOr<attestor::AttestResponse>(pid_t pid)> answer) {
    server_.On<attestor::AttestRequest, attestor::AttestResponse>(
        kAttest,
        [answer = std::move(answer)](const auto& request) { return answer(request.pid()); });
  }
  absl::StatusOr<std::vector<Selector>> Attest() {
    Subject subject;
    subject.pid = 17;
    return WorkloadAttestorPlugin(connection_, clock_, timeout_).Attest(subject);
  }
  void Connect() { connection_.Connect(server_.Connect()); }

  absl::Duration timeout_ = absl::Minutes(1);
  FakeClock clock_;
  std::atomic<int> wanted_ = 0;
  FakePluginServer server_;
  PluginConnection connection_{{PluginType::kWorkloadAttestor, "test"}, [this] { ++wanted_; }};
};

attestor::AttestResponse Selectors(const std::vector<std::string>& values) {
  attestor::AttestResponse response;
  response.mutable_selector_values()->Add(values.begin(), values.end());
  return response;
}

// As gRPC's requests have it, in seconds or milliseconds.
absl::Duration TimeoutOf(const rpc::Call& call) {
  const std::string text(call.Metadata("grpc-timeout").at(0));
  int64_t count = 0;
  EXPECT_TRUE(absl::SimpleAtoi(text.substr(0, text.size() - 1), &count)) << text;
  EXPECT_THAT(text.back(), testing::AnyOf('S', 'm')) << text;
  return text.back() == 'S' ? absl::Seconds(count) : absl::Milliseconds(count);
}

TEST_F(WorkloadAttestorPluginTest, ItsValuesAreSelectorsOfItsName) {
  Answer([](pid_t pid) { return Selectors({"pid:" + std::to_string(pid), "b"}); });
  server_.Start();
  Connect();
  const auto selectors = Attest();
  ASSERT_OK(selectors.status());
  EXPECT_THAT(*selectors, ElementsAre(Selector{"test", "pid:17"}, Selector{"test", "b"}));
}

TEST_F(WorkloadAttestorPluginTest, OneThatTakesReferencesAloneGetsOne) {
  server_.On<attestor::AttestReferenceRequest, attestor::AttestReferenceResponse>(
      kReference, [](const auto& request) {
        attestor::AttestReferenceResponse response;
        attestor::AttestRequest pid;
        pid.ParseFromString(request.reference().value());
        response.add_selector_values(request.reference().type_url() + " " +
                                     std::to_string(pid.pid()));
        return response;
      });
  server_.Start();
  Connect();
  const auto selectors = Attest();
  ASSERT_OK(selectors.status());
  EXPECT_EQ(selectors->at(0).value, "type.googleapis.com/spiffe.broker.WorkloadPIDReference 17");
}

TEST_F(WorkloadAttestorPluginTest, ItsErrorIsToldWithItsName) {
  Answer([](pid_t) { return InvalidArgument("no such pod"); });
  server_.Start();
  Connect();
  EXPECT_THAT(Attest().status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "workloadattestor(test): no such pod"));
}

TEST_F(WorkloadAttestorPluginTest, OneThatDoesNotAnswerFailsInTime) {
  server_.Hang(kAttest);
  server_.Start();
  Connect();
  timeout_ = absl::Milliseconds(100);
  EXPECT_THAT(Attest().status(), StatusIs(absl::StatusCode::kDeadlineExceeded,
                                          StartsWith("workloadattestor(test): ")));
  EXPECT_EQ(wanted_, 0);
}

TEST_F(WorkloadAttestorPluginTest, OneThatDoesNotAnswerRestsLongerAndLonger) {
  std::atomic<bool> hangs = true;
  std::atomic<int> asked = 0;
  server_.OnStream(
      kAttest,
      [&](rpc::Call& call, std::string_view) {
        if (!hangs) {
          call.Finish(InvalidArgument("no such pod"));
        }
      },
      [&](rpc::Call&) { ++asked; });
  server_.Start();
  Connect();
  WorkloadAttestorPlugin plugin(connection_, clock_, absl::Milliseconds(200));
  const auto attest = [&plugin](uid_t uid = 1000) {
    Subject subject;
    subject.pid = 17;
    subject.uid = uid;
    return plugin.Attest(subject).status();
  };
  for (int rest : {1, 2, 4, 8, 8}) {
    EXPECT_THAT(attest(), StatusIs(absl::StatusCode::kDeadlineExceeded, testing::_));
    const int asked_before = asked;
    clock_.Advance(absl::Seconds(rest) - absl::Milliseconds(1));
    EXPECT_THAT(attest(), StatusIs(absl::StatusCode::kAborted, HasSubstr("is not asked")));
    EXPECT_EQ(asked, asked_before);
    clock_.Advance(absl::Milliseconds(1));
  }
  EXPECT_THAT(attest(), StatusIs(absl::StatusCode::kDeadlineExceeded, testing::_));
  hangs = false;
  EXPECT_THAT(attest(1001), StatusIs(absl::StatusCode::kInvalidArgument, testing::_))
      << "another user's processes are not made to wait";
  hangs = true;
  for (uid_t uid = 2000; uid < 2006; ++uid) {
    EXPECT_THAT(attest(uid), StatusIs(absl::StatusCode::kDeadlineExceeded, testing::_));
  }
  hangs = false;
  EXPECT_THAT(attest(1001), StatusIs(absl::StatusCode::kInvalidArgument, testing::_))
      << "it rests for seven users only";
  hangs = true;
  testing::internal::CaptureStdout();
  EXPECT_THAT(attest(2006), StatusIs(absl::StatusCode::kDeadlineExceeded, testing::_));
  EXPECT_THAT(testing::internal::GetCapturedStdout(),
              HasSubstr("Plugin does not answer and is not asked for anybody"));
  EXPECT_THAT(attest(1001), StatusIs(absl::StatusCode::kAborted, testing::_))
      << "it rests for eight users, and so for all";
  hangs = false;
  EXPECT_THAT(attest(), StatusIs(absl::StatusCode::kAborted, testing::_));
  Connect();  // As to another process: it is asked at once.
  EXPECT_THAT(attest(), StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
  hangs = true;
  EXPECT_THAT(attest(), StatusIs(absl::StatusCode::kDeadlineExceeded, testing::_));
  clock_.Advance(absl::Seconds(1));
  hangs = false;
  EXPECT_THAT(attest(), StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
  hangs = true;
  EXPECT_THAT(attest(), StatusIs(absl::StatusCode::kDeadlineExceeded, testing::_));
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(attest(), StatusIs(absl::StatusCode::kDeadlineExceeded, testing::_));
}

TEST_F(WorkloadAttestorPluginTest, BothCallsHaveOneDeadline) {
  constexpr absl::Duration kSlowness = absl::Milliseconds(300);
  std::vector<absl::Duration> left;  // Written by the server's thread before it answers.
  for (const char* method : {kAttest, kReference}) {
    server_.OnStream(
        method,
        [](rpc::Call& call, std::string_view) {
          absl::SleepFor(kSlowness);
          call.Finish(absl::UnimplementedError("not so"));
        },
        [&](rpc::Call& call) { left.push_back(TimeoutOf(call)); });
  }
  server_.Start();
  Connect();
  timeout_ = absl::Seconds(9);
  EXPECT_THAT(Attest().status(), StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("not so")));
  ASSERT_EQ(left.size(), 2U);
  // gRPC rounds up.
  EXPECT_LE(left[0], timeout_ + absl::Milliseconds(100));
  EXPECT_LE(left[1], left[0] - kSlowness + absl::Milliseconds(100));
}

TEST_F(WorkloadAttestorPluginTest, OneThatDoesNotRunFailsInTime) {
  timeout_ = absl::Milliseconds(10);
  EXPECT_THAT(Attest().status(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("plugin is not running")));
}

TEST_F(WorkloadAttestorPluginTest, TooManySelectorsAreRefused) {
  Answer([](pid_t) { return Selectors(std::vector<std::string>(1025, "x")); });
  server_.Start();
  Connect();
  EXPECT_THAT(Attest().status(),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("1025 selectors")));
}

TEST_F(WorkloadAttestorPluginTest, TooMuchTextIsRefused) {
  Answer([](pid_t) { return Selectors({std::string(65537, 'x')}); });
  server_.Start();
  Connect();
  EXPECT_THAT(Attest().status(),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("65537 bytes")));
}

TEST_F(WorkloadAttestorPluginTest, ABrokenConnectionIsAskedForAnewOnce) {
  Answer([](pid_t) { return Selectors({"x"}); });
  server_.Start();
  Connect();
  ASSERT_OK(Attest().status());
  server_.Stop();
  EXPECT_THAT(Attest().status(),
              StatusIs(absl::StatusCode::kUnavailable, StartsWith("workloadattestor(test): ")));
  EXPECT_EQ(wanted_, 1);
}

TEST_F(WorkloadAttestorPluginTest, ADroppedConnectionIsNotUsedAgain) {
  Answer([](pid_t) { return Selectors({"x"}); });
  server_.Start();
  Connect();
  connection_.Drop();
  timeout_ = absl::Milliseconds(10);
  EXPECT_THAT(Attest().status(),
              StatusIs(absl::StatusCode::kUnavailable, StartsWith("workloadattestor(test): ")));
  Connect();
  timeout_ = absl::Minutes(1);
  EXPECT_OK(Attest().status());
}

}  // namespace
}  // namespace assay
