// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_bundles.h"

#include <algorithm>

namespace assay {
namespace {

constexpr absl::Duration kLongestWait = absl::Minutes(4);
// A sequence number is believed for so long.
constexpr absl::Duration kWholeEvery = absl::Minutes(5);

}  // namespace

absl::StatusOr<std::optional<TrustBundle>> PollBundle(Upstream& upstream, const TrustDomain& own,
                                                      const TrustDomain& trust_domain,
                                                      std::optional<uint64_t> known) {
  if (known.has_value()) {
    ASSIGN_OR_RETURN(const std::optional<uint64_t> number,
                     upstream.FetchSequenceNumber(trust_domain));
    if (number == known) {
      return std::nullopt;
    }
  }
  absl::StatusOr<TrustBundle> bundle =
      trust_domain == own ? upstream.FetchBundle() : upstream.FetchFederatedBundle(trust_domain);
  RETURN_IF_ERROR(bundle.status());
  return *std::move(bundle);
}

BundleSchedule::BundleSchedule(std::string own, absl::Duration interval)
    : own_(std::move(own)), interval_(interval) {
  Add(own_, absl::ZeroDuration());
}

void BundleSchedule::SetInterval(absl::Duration interval, absl::Duration now) {
  interval_ = interval;
  for (auto& [name, poll] : polls_) {
    poll.at = poll.fails ? poll.at : std::min(poll.at, now + interval);
  }
}

void BundleSchedule::Add(const std::string& name, absl::Duration at) {
  polls_.emplace(name,
                 Poll{.backoff = Backoff(interval_, std::max(interval_, kLongestWait)), .at = at});
}

void BundleSchedule::Want(const std::vector<std::string>& foreign, absl::Duration now) {
  std::erase_if(polls_, [&](const auto& poll) {
    return poll.first != own_ &&
           std::find(foreign.begin(), foreign.end(), poll.first) == foreign.end();
  });
  for (const std::string& name : foreign) {
    if (!polls_.contains(name)) {
      Add(name, now);
    }
  }
}

std::optional<std::string> BundleSchedule::Due(absl::Duration now) const {
  if (now < paused_until_) {
    return std::nullopt;
  }
  if (polls_.at(own_).at <= now) {
    return own_;
  }
  const auto first =
      std::min_element(polls_.begin(), polls_.end(),
                       [](const auto& a, const auto& b) { return a.second.at < b.second.at; });
  return first->second.at <= now ? std::optional(first->first) : std::nullopt;
}

absl::Duration BundleSchedule::NextTime() const {
  absl::Duration next = absl::InfiniteDuration();
  for (const auto& [name, poll] : polls_) {
    next = std::min(next, poll.at);
  }
  return std::max(next, paused_until_);
}

bool BundleSchedule::Succeed(const std::string& name, absl::Duration now, const Random& random) {
  const auto at = polls_.find(name);
  if (at == polls_.end()) {
    return false;
  }
  at->second.backoff.Reset();
  at->second.at = now + Jittered(interval_, random);
  return std::exchange(at->second.fails, false);
}

void BundleSchedule::NoteWhole(const std::string& name, absl::Duration now) {
  if (const auto at = polls_.find(name); at != polls_.end()) {
    at->second.fetched_at = now;
  }
}

bool BundleSchedule::WantsWhole(const std::string& name, absl::Duration now) const {
  const auto at = polls_.find(name);
  return at != polls_.end() && now + interval_ >= at->second.fetched_at + kWholeEvery;
}

bool BundleSchedule::Fail(const std::string& name, bool is_away, absl::Duration now,
                          const Random& random) {
  if (is_away) {
    paused_until_ = now + Jittered(interval_, random);
  }
  const auto at = polls_.find(name);
  if (at == polls_.end()) {
    return false;
  }
  at->second.at = now + at->second.backoff.Next(random);
  return !std::exchange(at->second.fails, true);
}

void BundleSchedule::Restart(absl::Duration now) {
  paused_until_ = absl::ZeroDuration();
  for (auto& [name, poll] : polls_) {
    poll.backoff.Reset();
    poll.at = now;
    poll.fails = false;
  }
}

void BundleSchedule::Hasten(const std::string& name, absl::Duration now) {
  if (const auto at = polls_.find(name); at != polls_.end() && !at->second.fails) {
    at->second.at = std::min(at->second.at, now);
  }
}

}  // namespace assay
