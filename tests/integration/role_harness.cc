// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/integration/role_harness.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <future>
#include <utility>

#include "rpc/listen_socket.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

constexpr auto kStep = std::chrono::milliseconds(200);
constexpr int kSteps = 100;

}  // namespace

RoleHarness::RoleHarness(const Options& options)
    : options_(options),
      socket_(folder_.path() + "/api.sock"),
      admin_socket_(folder_.path() + "/admin.sock"),
      loop_(EventLoop::Create(clock_).value()),
      listener_(rpc::ListenUnix(socket_, 0777).value()),
      admin_listener_(rpc::ListenUnix(admin_socket_, 0777).value()) {
  std::filesystem::permissions(folder_.path(), std::filesystem::perms::all);
  thread_ = std::thread([this] { loop_->Run(); });
  OnLoop([this] {
    Start(roles::SERVE);
    Start(roles::PROBE);
    LinkIdentity();
    LinkProbe();
  });
}

RoleHarness::~RoleHarness() {
  OnLoop([this] {
    for (auto& [role, process] : roles_) {
      process->Kill();
      process->Reap();
      process.reset();
    }
    identity_.reset();
    loop_->Stop();
  });
  thread_.join();
}

void RoleHarness::OnLoop(const std::function<void()>& work) {
  std::promise<void> done;
  loop_->Post([&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

void RoleHarness::Start(roles::Role role) {
  {
    MutexLock lock(mutex_);
    ready_[role] = false;
  }
  auto process =
      RoleProcess::Start(SpecOf(role), {.executable = "/proc/self/exe", .name = "assay-test"},
                         PrivilegesOf(SpecOf(role), geteuid(), std::nullopt), *loop_,
                         [this, role](std::string_view, UniqueFd) {
                           MutexLock lock(mutex_);
                           ready_[role] = true;
                           changed_.NotifyAll();
                         });
  ASSERT_OK(process);
  roles_[role] = *std::move(process);
  roles::MonitorToRole message;
  roles::Start& start = *message.mutable_start();
  start.mutable_log()->set_level(1);
  if (role == roles::SERVE) {
    start.mutable_serve()->set_trust_domain("example.org");
    start.mutable_serve()->set_allow_unauthenticated_verifiers(
        options_.allow_unauthenticated_verifiers);
    start.mutable_serve()->mutable_authorized_delegates()->Add(
        options_.authorized_delegates.begin(), options_.authorized_delegates.end());
  } else {
    start.mutable_probe()->mutable_unix()->set_discover_workload_path(
        options_.discover_workload_path);
  }
  ASSERT_OK(roles_[role]->control().Send(message));
  if (role == roles::SERVE) {
    message.mutable_listen()->set_endpoint(roles::WORKLOAD_API);
    ASSERT_OK(roles_[role]->control().Send(message, listener_.get()));
    message.mutable_listen()->set_endpoint(roles::ADMIN);
    ASSERT_OK(roles_[role]->control().Send(message, admin_listener_.get()));
  }
}

void RoleHarness::LinkIdentity() {
  auto ends = Channel::MakePair().value();
  roles::MonitorToRole message;
  message.mutable_link()->set_peer(roles::IDENTITY);
  ASSERT_OK(roles_[roles::SERVE]->control().Send(message, ends.second.get()));
  identity_ = Channel::Create(
                  *loop_, std::move(ends.first),
                  [this](std::string_view bytes, UniqueFd) {
                    roles::ServeRequest request;
                    request.ParseFromString(std::string(bytes));
                    if (!request.has_used()) {
                      MutexLock lock(mutex_);
                      requests_.push_back(std::move(request));
                      changed_.NotifyAll();
                    }
                  },
                  [](const absl::Status&) {})
                  .value();
}

void RoleHarness::LinkProbe() {
  auto ends = Channel::MakePair().value();
  roles::MonitorToRole message;
  message.mutable_link()->set_peer(roles::PROBE);
  ASSERT_OK(roles_[roles::SERVE]->control().Send(message, ends.first.get()));
  message.mutable_link()->set_peer(roles::SERVE);
  ASSERT_OK(roles_[roles::PROBE]->control().Send(message, ends.second.get()));
}

void RoleHarness::Send(const roles::StateChange& change) {
  OnLoop([&] { ASSERT_OK(identity_->Send(change)); });
}

std::optional<roles::ServeRequest> RoleHarness::NextRequest() {
  MutexLock lock(mutex_);
  for (int i = 0; i < kSteps && requests_.empty(); ++i) {
    changed_.WaitFor(mutex_, kStep);
  }
  if (requests_.empty()) {
    return std::nullopt;
  }
  roles::ServeRequest request = requests_.front();
  requests_.pop_front();
  return request;
}

void RoleHarness::RestartIdentity() {
  OnLoop([this] { LinkIdentity(); });
}

void RoleHarness::Restart(roles::Role role) {
  OnLoop([this, role] {
    roles_[role]->Kill();
    roles_[role]->Reap();
    Start(role);
    if (role == roles::SERVE) {
      LinkIdentity();
    }
    LinkProbe();
  });
}

pid_t RoleHarness::PidOf(roles::Role role) {
  pid_t pid = 0;
  OnLoop([&] { pid = roles_[role]->pid(); });
  return pid;
}

bool RoleHarness::AwaitReady(roles::Role role) {
  MutexLock lock(mutex_);
  for (int i = 0; i < kSteps && !ready_[role]; ++i) {
    changed_.WaitFor(mutex_, kStep);
  }
  return ready_[role];
}

}  // namespace assay
