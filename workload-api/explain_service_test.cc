// SPDX-License-Identifier: GPL-3.0-or-later
// What operators are told of processes and of refused calls.
#include "workload-api/explain_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "assay/agent/v1/explain.pb.h"
#include "assay/roles.pb.h"
#include "tests/support/test_server.h"

namespace assay {
namespace {

using agent::v1::ExplainProcessRequest;
using agent::v1::ExplainProcessResponse;
using agent::v1::ExplainRefusalsRequest;
using agent::v1::ExplainRefusalsResponse;
using agent::v1::Explanation;
using testing::ElementsAre;
using testing::IsEmpty;

// Processes by number, each with what an attestation comes to.
class FakeProcesses final : public ReferredProcesses {
 public:
  struct Found {
    absl::StatusOr<std::vector<Selector>> selectors;
    AttestorRuns runs;
  };

  absl::StatusOr<std::unique_ptr<ReferredProcess>> Open(pid_t pid, uid_t /*asker*/,
                                                        std::function<void()> ended) override {
    if (!found.contains(pid)) {
      return NotFound("there is no process {}", pid);
    }
    last_ended = std::move(ended);
    return std::make_unique<Process>(*this, found.at(pid));
  }

  std::map<pid_t, Found> found;
  int open = 0;
  bool waits = false;  // No attestation comes to an end.
  std::function<void()> last_ended;

 private:
  struct Process final : ReferredProcess {
    Process(FakeProcesses& all, Found of) : processes(all), found(std::move(of)) {
      ++processes.open;
    }
    ~Process() override { --processes.open; }
    void Attest(Attested attested) override {
      if (!processes.waits) {
        attested(found.selectors);
      }
    }
    AttestorRuns LastRuns() const override { return found.runs; }
    FakeProcesses& processes;
    const Found found;
  };
};

class ExplainServiceTest : public testing::Test {
 protected:
  ExplainServiceTest() {
    service_.AddTo(server_.registry);
    server_.Start();
    client_ = server_.Connect();
  }
  // The server first: its calls use the rest.
  ~ExplainServiceTest() override { server_.Stop(); }

  void Commit(const std::vector<std::pair<std::string, std::vector<std::string>>>& entries) {
    roles::StateChange change;
    for (const auto& [id, values] : entries) {
      roles::Entry& entry = *change.add_entries();
      entry.set_id(id);
      entry.set_spiffe_id("spiffe://example.org/" + id);
      for (const std::string& value : values) {
        roles::Selector& selector = *entry.add_selectors();
        selector.set_type("unix");
        selector.set_value(value);
      }
    }
    change.set_commit(true);
    ASSERT_OK(state_.Receive(std::move(change)));
  }
  Refusal Refused(pid_t pid) const {
    Refusal refusal;
    refusal.pid = pid;
    refusal.uid = 1;
    refusal.gid = 2;
    refusal.service = "WorkloadAPI";
    refusal.method = "FetchX509SVID";
    refusal.error = "no identity issued";
    refusal.attested = true;
    refusal.selectors = {{"unix", "uid:1"}};
    refusal.runs = {{"unix", absl::Milliseconds(3), ""}};
    return refusal;
  }

  int32_t Start(pid_t pid) {
    ExplainProcessRequest request;
    request.set_pid(pid);
    return client_->Start("/assay.agent.v1.Explain/ExplainProcess", request.SerializeAsString());
  }
  Explanation Explain(pid_t pid) {
    const auto& stream = client_->WaitClosed(Start(pid));
    EXPECT_EQ(stream.status(), 0) << stream.message();
    ExplainProcessResponse response;
    EXPECT_TRUE(!stream.messages().empty() && response.ParseFromString(stream.messages().front()));
    return response.explanation();
  }
  std::string StatusOf(int32_t call) {
    const auto& stream = client_->WaitClosed(call);
    return fmt::format("{} {}", stream.status(), stream.message());
  }
  int32_t StartRefusals(const std::string& reason = "", uint32_t limit = 0) {
    ExplainRefusalsRequest request;
    request.set_reason(reason);
    request.set_limit(limit);
    return client_->Start("/assay.agent.v1.Explain/ExplainRefusals", request.SerializeAsString());
  }
  ExplainRefusalsResponse Refusals(const std::string& reason = "", uint32_t limit = 0) {
    const auto& stream = client_->WaitClosed(StartRefusals(reason, limit));
    EXPECT_EQ(stream.status(), 0) << stream.message();
    ExplainRefusalsResponse response;
    EXPECT_TRUE(!stream.messages().empty() && response.ParseFromString(stream.messages().front()));
    return response;
  }

  TestServer server_;
  ServedState state_;
  FakeProcesses processes_;
  LastRefusals refusals_{server_.clock};
  ExplainService service_{server_.loop(), state_, processes_, refusals_};
  std::unique_ptr<Http2Client> client_;
};

TEST_F(ExplainServiceTest, TellsOfAProcessWhatEachAttestorFoundAndWhichEntriesMatch) {
  Commit({{"mine", {"uid:1"}}, {"near", {"uid:1", "gid:9"}}, {"other", {"uid:7"}}});
  processes_.found[7] = {
      .selectors = std::vector<Selector>{{"odd", "x"}, {"unix", "gid:2"}, {"unix", "uid:1"}},
      .runs = {{"unix", absl::Microseconds(1500), ""}, {"docker", absl::Seconds(2), "no socket"}}};
  const Explanation told = Explain(7);
  ASSERT_EQ(told.attestors_size(), 3);
  EXPECT_EQ(told.attestors(0).name(), "unix");
  EXPECT_EQ(told.attestors(0).microseconds(), 1500);
  EXPECT_THAT(told.attestors(0).selectors(), ElementsAre("unix:gid:2", "unix:uid:1"));
  EXPECT_EQ(told.attestors(1).name(), "docker");
  EXPECT_EQ(told.attestors(1).error(), "no socket");
  EXPECT_THAT(told.attestors(1).selectors(), IsEmpty());
  EXPECT_THAT(told.attestors(2).selectors(), ElementsAre("odd:x"));
  ASSERT_EQ(told.matched_size(), 1);
  EXPECT_EQ(told.matched(0).spiffe_id(), "spiffe://example.org/mine");
  EXPECT_EQ(told.entries_count(), 3U);
  ASSERT_EQ(told.nearest_size(), 2);
  EXPECT_EQ(told.nearest(0).id(), "near");
  EXPECT_THAT(told.nearest(0).missing(), ElementsAre("unix:gid:9"));
  EXPECT_EQ(processes_.open, 0);
}

TEST_F(ExplainServiceTest, TellsWhyAProcessWasNotAttested) {
  Commit({{"mine", {"uid:1"}}});
  processes_.found[7] = {.selectors = Unavailable("workload attestation failed"),
                         .runs = {{"unix", absl::ZeroDuration(), "path lookup: gone"}}};
  const Explanation told = Explain(7);
  EXPECT_EQ(told.error(), "workload attestation failed");
  ASSERT_EQ(told.attestors_size(), 1);
  EXPECT_EQ(told.attestors(0).error(), "path lookup: gone");
  EXPECT_EQ(told.nearest_size(), 0);
}

TEST_F(ExplainServiceTest, RefusesWhatIsNoProcess) {
  Commit({});
  EXPECT_EQ(StatusOf(Start(0)), "3 0 is no process's number");
  EXPECT_EQ(StatusOf(Start(-1)), "3 -1 is no process's number");
  EXPECT_EQ(StatusOf(Start(7)), "5 there is no process 7");
  processes_.found[7] = {.selectors = NotFound("process 7 has ended"), .runs = {}};
  EXPECT_EQ(StatusOf(Start(7)), "5 process 7 has ended");
  processes_.waits = true;
  const int32_t call = Start(7);
  ASSERT_TRUE(client_->WaitFor([this] { return processes_.open == 1; }));
  processes_.last_ended();
  EXPECT_EQ(StatusOf(call), "5 process 7 has ended");
  EXPECT_EQ(processes_.open, 0);
}

TEST_F(ExplainServiceTest, IsUnavailableBeforeTheFirstState) {
  processes_.found[7] = {.selectors = std::vector<Selector>{}, .runs = {}};
  EXPECT_EQ(StatusOf(Start(7)), "14 the agent has not synchronised with its upstream yet");
}

TEST_F(ExplainServiceTest, TextThatIsNoUtf8IsToldAllTheSame) {
  Commit({});
  processes_.found[7] = {
      .selectors = std::vector<Selector>{{"unix", "path:/\xff"}, {"unix", "user:\xc3\xbc"}},
      .runs = {{"unix", {}, ""}}};
  EXPECT_THAT(Explain(7).attestors(0).selectors(),
              ElementsAre("unix:path:/\\xff", "unix:user:\xc3\xbc"));
}

TEST_F(ExplainServiceTest, ExplainsTheLastRefusalsByTheEntriesOfNow) {
  Commit({{"other", {"uid:7"}}});
  const std::string reason = refusals_.Note(Refused(7));
  server_.clock.Advance(absl::Seconds(5));
  refusals_.Note(Refused(7));
  Commit({{"new", {"uid:1"}}});
  const ExplainRefusalsResponse told = Refusals();
  ASSERT_EQ(told.refusals_size(), 1);
  const agent::v1::Refusal& refusal = told.refusals(0);
  EXPECT_EQ(refusal.reason(), reason);
  EXPECT_EQ(refusal.error(), "no identity issued");
  EXPECT_EQ(refusal.pid(), 7);
  EXPECT_EQ(refusal.uid(), 1U);
  EXPECT_EQ(refusal.gid(), 2U);
  EXPECT_EQ(refusal.service() + " " + refusal.method(), "WorkloadAPI FetchX509SVID");
  EXPECT_EQ(refusal.last_at() - refusal.first_at(), 5);
  EXPECT_EQ(refusal.count(), 2U);
  EXPECT_THAT(refusal.explanation().attestors(0).selectors(), ElementsAre("unix:uid:1"));
  EXPECT_EQ(refusal.explanation().matched(0).id(), "new");
  EXPECT_EQ(refusal.explanation().nearest(0).id(), "other");
}

TEST_F(ExplainServiceTest, ExplainsOneRefusalOrSoMany) {
  Commit({});
  EXPECT_EQ(Refusals().refusals_size(), 0);
  std::string reason;
  for (pid_t pid = 1; pid <= 100; ++pid) {
    reason = refusals_.Note(Refused(pid));
  }
  EXPECT_EQ(Refusals(reason).refusals(0).pid(), 100);
  EXPECT_EQ(Refusals("", 3).refusals(2).pid(), 98);
  EXPECT_EQ(Refusals().refusals_size(), 20);
  EXPECT_EQ(Refusals("", UINT32_MAX).refusals_size(), 64);
  EXPECT_EQ(StatusOf(StartRefusals("NOPE")), "5 no refusal of reason \"NOPE\" is remembered");
}

TEST_F(ExplainServiceTest, ARefusalWithoutAnAttestationHasNoEntries) {
  Commit({{"other", {"uid:7"}}});
  Refusal refusal = Refused(7);
  refusal.attested = false;
  refusal.selectors.clear();
  refusal.error = "workload attestation failed";
  refusals_.Note(refusal);
  refusals_.Note(Refused(8));
  const ExplainRefusalsResponse told = Refusals();
  ASSERT_EQ(told.refusals_size(), 2);
  EXPECT_EQ(told.refusals(0).explanation().nearest(0).id(), "other");
  EXPECT_EQ(told.refusals(1).explanation().error(), "workload attestation failed");
  EXPECT_EQ(told.refusals(1).explanation().nearest_size(), 0);
}

TEST_F(ExplainServiceTest, MakesFewExplanationsAtATime) {
  Commit({});
  processes_.found[7] = {.selectors = std::vector<Selector>{}, .runs = {}};
  processes_.waits = true;
  std::vector<int32_t> calls;
  for (size_t i = 0; i < ExplainService::kMostCalls; ++i) {
    calls.push_back(Start(7));
  }
  EXPECT_EQ(StatusOf(StartRefusals()), "8 too many explanations are asked for at this time");
  client_->Reset(calls.front());
  ASSERT_TRUE(client_->WaitFor(
      [this] { return processes_.open + 1 == static_cast<int>(ExplainService::kMostCalls); }));
  EXPECT_EQ(StatusOf(StartRefusals()), "0 ");
}

}  // namespace
}  // namespace assay
