// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/workload_attestor.h"

#include <google/protobuf/any.pb.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "base/log.h"
#include "plugins/channel_client.h"
#include "spire/plugin/agent/workloadattestor/v1/workloadattestor.grpc.pb.h"

namespace assay {
namespace {

namespace attestor = spire::plugin::agent::workloadattestor::v1;

// Of the SPIFFE broker API; its one field, 1, is the number.
constexpr const char* kPidReference = "type.googleapis.com/spiffe.broker.WorkloadPIDReference";

using TimePoint = std::chrono::system_clock::time_point;  // What gRPC takes.
using Values = google::protobuf::RepeatedPtrField<std::string>;

grpc::Status AttestPid(attestor::WorkloadAttestor::Stub& stub, pid_t pid, TimePoint deadline,
                       Values& values) {
  grpc::ClientContext context;
  context.set_deadline(deadline);
  attestor::AttestRequest request;
  attestor::AttestResponse response;
  request.set_pid(pid);
  const grpc::Status status = stub.Attest(&context, request, &response);
  values.Swap(response.mutable_selector_values());
  return status;
}

grpc::Status AttestReference(attestor::WorkloadAttestor::Stub& stub, pid_t pid, TimePoint deadline,
                             Values& values) {
  grpc::ClientContext context;
  context.set_deadline(deadline);
  attestor::AttestRequest reference;  // Of the same form.
  reference.set_pid(pid);
  attestor::AttestReferenceRequest request;
  attestor::AttestReferenceResponse response;
  request.mutable_reference()->set_type_url(kPidReference);
  request.mutable_reference()->set_value(reference.SerializeAsString());
  const grpc::Status status = stub.AttestReference(&context, request, &response);
  values.Swap(response.mutable_selector_values());
  return status;
}

}  // namespace

absl::StatusOr<std::vector<Selector>> WorkloadAttestorPlugin::Attest(const Subject& subject) {
  const TimePoint deadline =
      std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout_);
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, connection_.Await(timeout_ / 2));
  RETURN_IF_ERROR(CheckRested(channel, subject.uid));
  const absl::Duration begun = clock_.SinceBoot();
  const auto stub = attestor::WorkloadAttestor::NewStub(channel);
  Values values;
  grpc::Status status = AttestPid(*stub, subject.pid, deadline, values);
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    status = AttestReference(*stub, subject.pid, deadline, values);
  }
  // A plugin may say itself, and soon, that what it asks does not answer.
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
      std::chrono::system_clock::now() >= deadline) {
    OnTimeout(subject.uid, begun);
  } else {
    OnAnswered(subject.uid, begun);
  }
  if (absl::Status ended = connection_.Ended(channel, status); !ended.ok()) {
    // Aborted is said of a rest, which the log has.
    return absl::IsAborted(ended) ? MakeStatus(absl::StatusCode::kUnknown, Message(ended)) : ended;
  }
  std::vector<Selector> selectors;
  size_t bytes = 0;
  for (std::string& value : values) {
    bytes += value.size();
    selectors.push_back({connection_.name(), std::move(value)});
  }
  if (selectors.size() > kMaxSelectors || bytes > kMaxSelectorBytes) {
    return ResourceExhausted("plugin gave {} selectors of {} bytes, at most {} of {} are taken",
                             selectors.size(), bytes, kMaxSelectors, kMaxSelectorBytes);
  }
  return selectors;
}

absl::Duration WorkloadAttestorPlugin::RestForAll(absl::Duration now) const {
  std::vector<absl::Duration> ends;
  for (const auto& [user, slow] : slow_) {
    if (now < slow.rest_until) {
      ends.push_back(slow.rest_until);
    }
  }
  if (ends.size() < kSlowUsers) {
    return absl::ZeroDuration();
  }
  const auto last = ends.end() - kSlowUsers;  // When it ends, one user too few is left.
  std::nth_element(ends.begin(), last, ends.end());
  return *last - now;
}

absl::Status WorkloadAttestorPlugin::CheckRested(const std::shared_ptr<grpc::Channel>& channel,
                                                 uid_t user) {
  MutexLock lock(mutex_);
  if (channel_.lock() != channel) {
    channel_ = channel;
    slow_.clear();
  }
  const absl::Duration now = clock_.SinceBoot();
  const auto own = slow_.find(user);
  if ((own != slow_.end() && now < own->second.rest_until) ||
      RestForAll(now) > absl::ZeroDuration()) {
    return MakeStatus(absl::StatusCode::kAborted,
                      "plugin did not answer in time and is not asked for a moment");
  }
  return absl::OkStatus();
}

void WorkloadAttestorPlugin::OnAnswered(uid_t user, absl::Duration begun) {
  MutexLock lock(mutex_);
  // What was asked together with one that waited in vain does not end its rest.
  if (const auto found = slow_.find(user);
      found != slow_.end() && begun >= found->second.rest_until) {
    slow_.erase(found);
  }
}

void WorkloadAttestorPlugin::OnTimeout(uid_t user, absl::Duration begun) {
  if (const absl::Duration rest = Rest(user, begun); rest > absl::ZeroDuration()) {
    log::Warn("Plugin does not answer and is not asked for anybody",
              {{"plugin_name", connection_.name()},
               {"retry_interval", absl::FormatDuration(rest)},
               {"subsystem_name", "workload_attestor"}});
  }
}

absl::Duration WorkloadAttestorPlugin::Rest(uid_t user, absl::Duration begun) {
  MutexLock lock(mutex_);
  const absl::Duration now = clock_.SinceBoot();
  if (slow_.size() >= kMaxSlow) {
    std::erase_if(slow_, [now](const auto& slow) { return slow.second.rest_until <= now; });
  }
  const bool rested = RestForAll(now) > absl::ZeroDuration();
  const auto found = slow_.find(user);
  if (found == slow_.end()) {
    if (slow_.size() < kMaxSlow) {
      slow_[user] = {.rest = kFirstRest, .rest_until = now + kFirstRest};
    }
  } else if (begun >= found->second.rest_until) {
    found->second.rest = std::min(2 * found->second.rest, kLongestRest);
    found->second.rest_until = now + found->second.rest;
  }  // Else it was asked together with one that has been seen to wait in vain.
  return rested ? absl::ZeroDuration() : RestForAll(now);
}

}  // namespace assay
