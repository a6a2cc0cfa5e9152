// SPDX-License-Identifier: GPL-3.0-or-later
// The identity role's core over a scripted upstream, with a clock that the test moves and a serve
// role that keeps what it is told.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/identity_core.h"
#include "assay/roles.pb.h"
#include "attestors/node/join_token.h"
#include "base/files.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_serve.h"
#include "tests/support/make_entry.h"
#include "tests/support/scripted_upstream.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {

struct TestRoleOptions {
  size_t cache_size = 1000;
  size_t jwt_cache_size = 1000;
  bool has_served = false;
  bool has_stores = false;
  RebootstrapMode rebootstrap_mode = RebootstrapMode::kNever;
  // Unset: what the upstream has.
  NodeIdentity::FetchBootstrap bootstrap = {};
};

// An identity role without its process: jobs run when the test lets them, on its own thread.
class TestRole final {
 public:
  TestRole(FakeClock& clock, ScriptedUpstream& upstream, const std::string& folder,
           TestRoleOptions options = {})
      : clock_(clock),
        loop_(*EventLoop::Create(clock)),
        disk_(folder, MakeDiskKeys(folder)),
        node_({.trust_domain = *TrustDomain::Parse("d.test"),
               .fetch_bootstrap = [&upstream, options](const BootstrapAttempt& attempt)
                   -> absl::StatusOr<std::optional<TrustBundle>> {
                 return options.bootstrap ? options.bootstrap(attempt) : upstream.bundle();
               },
               .rebootstrap_after = options.rebootstrap_mode == RebootstrapMode::kNever
                                        ? std::nullopt
                                        : std::optional(absl::Minutes(10)),
               .keys_in_memory = false,
               .make_attestor = [] { return std::make_unique<JoinTokenAttestor>(Secret("t")); }},
              upstream, disk_, clock),
        core_({.trust_domain = *TrustDomain::Parse("d.test"),
               .key_type = crypto::KeyType::kEcP256,
               .availability_target = {},
               .cache_size = options.cache_size,
               .jwt_cache_size = options.jwt_cache_size,
               .sync_interval = absl::Seconds(5),
               .rebootstrap_mode = options.rebootstrap_mode,
               .has_served = options.has_served,
               .has_stores = options.has_stores},
              {.loop = *loop_,
               .clock = clock,
               .upstream = upstream,
               .node = node_,
               .run_sync = [this](auto job) { sync_jobs_.push_back(std::move(job)); },
               .run_signing = [this](auto job) { signing_jobs_.push_back(std::move(job)); },
               .run_bundles = [this](auto job) { bundle_jobs_.push_back(std::move(job)); },
               .run_minting = [this](auto job) { minting_jobs_.push_back(std::move(job)); },
               .random = [] { return 0.5; },
               .on_serving = [this] { serving = true; },
               .on_exit =
                   [this](int code, std::string_view reason) {
                     exit_code = code;
                     exit_reason = reason;
                   },
               .on_serve_ended = [this](const absl::Status& why) { serve_ended = why; },
               .on_state = [this](const StateToServe&) { ++states; }}) {
    LinkServe();
    core_.Start();
  }

  void LinkServe() {
    auto ends = *Channel::MakePair();
    ASSERT_OK(core_.LinkServe(std::move(ends.first)));
    serve = FakeServe();
    channel_ = *Channel::Create(
        *loop_, std::move(ends.second),
        [this](std::string_view bytes, UniqueFd) {
          roles::StateChange change;
          ASSERT_TRUE(change.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
          serve.Take(change);
        },
        [](const absl::Status&) {});
  }

  void RunLoop() {
    for (int i = 0; i < 5; ++i) {
      loop_->RunOnce(absl::ZeroDuration());
    }
  }
  // The one that is there, if any, and what follows from it on the loop.
  void RunSyncJob() { RunJob(sync_jobs_); }
  void RunSigningJob() { RunJob(signing_jobs_); }
  void RunBundleJob() { RunJob(bundle_jobs_); }
  void RunMintingJob() { RunJob(minting_jobs_); }
  size_t minting_jobs() const { return minting_jobs_.size(); }
  // Until nothing happens any more.
  void Settle() {
    RunLoop();
    while (!sync_jobs_.empty() || !signing_jobs_.empty() || !bundle_jobs_.empty() ||
           !minting_jobs_.empty()) {
      RunSyncJob();
      RunBundleJob();
      RunSigningJob();
      RunMintingJob();
    }
  }
  void Pass(absl::Duration duration, absl::Duration step = absl::Seconds(1)) {
    for (absl::Duration passed; passed < duration; passed += step) {
      clock_.Advance(step);
      Settle();
    }
  }

  void Want(const std::string& id) {
    roles::ServeRequest request;
    request.mutable_wanted()->add_entry_ids(id);
    Send(request);
  }
  void Mint(const std::string& id, const std::vector<std::string>& audience, uint64_t number = 0) {
    roles::ServeRequest request;
    request.mutable_mint_jwt()->mutable_key()->set_entry_id(id);
    request.mutable_mint_jwt()->mutable_key()->mutable_audience()->Add(audience.begin(),
                                                                       audience.end());
    request.mutable_mint_jwt()->set_request(number);
    Send(request);
  }
  // For a caller that has one of which half of the life is over.
  void MintNewer(const std::string& id, const std::string& audience) {
    roles::ServeRequest request;
    request.mutable_mint_jwt()->mutable_key()->set_entry_id(id);
    request.mutable_mint_jwt()->mutable_key()->add_audience(audience);
    request.mutable_mint_jwt()->set_renews(true);
    Send(request);
  }
  void ForgetJwt(const std::string& id, const std::string& audience, uint64_t number = 0) {
    roles::ServeRequest request;
    request.mutable_forget_jwt()->mutable_key()->set_entry_id(id);
    request.mutable_forget_jwt()->mutable_key()->add_audience(audience);
    request.mutable_forget_jwt()->set_request(number);
    Send(request);
  }
  void TellUsedJwt(const std::string& id, const std::string& audience) {
    roles::ServeRequest request;
    roles::JwtSvidKey& key = *request.mutable_used_jwts()->add_keys();
    key.set_entry_id(id);
    key.add_audience(audience);
    Send(request);
  }
  void TellUsed(int count) {
    roles::ServeRequest request;
    for (int i = 0; i < count; ++i) {
      request.mutable_used()->add_entry_ids(std::to_string(i));
    }
    Send(request);
  }
  // With a descriptor, which no message to identity has.
  void BreakRules() {
    roles::ServeRequest request;
    request.mutable_refused();
    ASSERT_OK(channel_->Send(request, 0));
    RunLoop();
  }
  void TellRefused() {
    roles::ServeRequest request;
    request.mutable_refused();
    Send(request);
  }

  IdentityHealth Health() const { return core_.Health(); }
  ServeReports& reports() { return core_.reports(); }
  // Answers the question that serve was asked last.
  void Report() {
    roles::ServeRequest request;
    request.mutable_report()->set_number(serve.asked);
    Send(request);
  }

  bool serving = false;
  int exit_code = -1;
  std::string exit_reason;
  absl::Status serve_ended;
  FakeServe serve;
  int states = 0;  // Told for stores.

 private:
  using Jobs = std::deque<std::function<void()>>;

  void RunJob(Jobs& jobs) {
    if (!jobs.empty()) {
      const auto job = std::move(jobs.front());
      jobs.pop_front();
      job();
    }
    RunLoop();
  }
  void Send(const roles::ServeRequest& request) {
    ASSERT_OK(channel_->Send(request));
    RunLoop();
  }

  FakeClock& clock_;
  std::unique_ptr<EventLoop> loop_;
  AgentDisk disk_;
  NodeIdentity node_;
  Jobs sync_jobs_, signing_jobs_, bundle_jobs_, minting_jobs_;
  IdentityCore core_;
  std::unique_ptr<Channel> channel_;
};

class IdentityCoreTest : public testing::Test {
 protected:
  // A role that serves entries "0" to "count - 1".
  std::unique_ptr<TestRole> Started(int count, TestRoleOptions options = {}) {
    for (int i = 0; i < count; ++i) {
      upstream_.entries.push_back(MakeEntry(std::to_string(i)));
    }
    auto role = std::make_unique<TestRole>(clock_, upstream_, folder_.path(), std::move(options));
    role->Settle();
    return role;
  }
  std::string Keys() { return ReadFile(folder_.path() + "/keys.json").value_or(""); }
  std::string AgentData() { return ReadFile(folder_.path() + "/agent-data.json").value_or(""); }

  FakeClock clock_;
  ScriptedUpstream upstream_{clock_};
  TempFolder folder_;
};

}  // namespace assay
