// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <utility>

#include "workload-api/identity_set.h"

namespace assay {
namespace {

// Sets that no connection holds are kept between calls, up to so many beside those held.
constexpr size_t kIdleSets = 256;
// But none is, once somebody has so much of selectors: a delegate's may be others each time.
constexpr size_t kLongSelectors = 4 << 10;
// The wall clock may be stepped past an expiry: it is looked at so often.
constexpr absl::Duration kExpiryRecheck = absl::Seconds(60);

size_t BytesOf(const std::vector<Selector>& selectors) {
  size_t bytes = 0;
  for (const Selector& selector : selectors) {
    bytes += sizeof(selector) + selector.type.size() + selector.value.size();
  }
  return bytes;
}

}  // namespace

IdentitySets::IdentitySets(const ServedState& state, const Clock& clock, EventLoop& loop,
                           Options options)
    : state_(state),
      clock_(clock),
      loop_(loop),
      options_(std::move(options)),
      sweep_at_(kIdleSets) {
  use_timer_ = loop_.After(kUseInterval, [this] { TellUse(); });
}

IdentitySets::~IdentitySets() {
  loop_.Cancel(expiry_timer_);
  loop_.Cancel(use_timer_);
}

void IdentitySets::TellUse() {
  use_timer_ = loop_.After(kUseInterval, [this] { TellUse(); });
  for (const auto& set : sets_) {
    if (set->observed()) {
      set->TellUse();
    }
  }
}

std::shared_ptr<IdentitySet> IdentitySets::Get(std::vector<Selector> selectors,
                                               IdentitySet::For whom) {
  IdentitySet::Key key{.whom = whom, .selectors = std::move(selectors)};
  const auto found = sets_.find(key);
  if (found != sets_.end()) {
    return *found;
  }
  if (sets_.size() >= sweep_at_ || BytesOf(key.selectors) > kLongSelectors) {
    std::erase_if(sets_, [](const auto& set) { return set.use_count() == 1; });
    sweep_at_ = 2 * sets_.size() + kIdleSets;
  }
  auto set = std::make_shared<IdentitySet>(*this, std::move(key));
  sets_.insert(set);
  return set;
}

void IdentitySets::Refresh() {
  ++generation_;
  // Sets that nobody holds go, with the keys in their answers.
  std::erase_if(sets_, [](const auto& set) { return set.use_count() == 1; });
  for (const auto& set : sets_) {
    if (set->observed()) {
      set->UpdateAndTell();
    }
  }
}

void IdentitySets::WantAgain() {
  for (const auto& set : sets_) {
    if (set->of_granted_.wanted_since() != absl::InfiniteDuration()) {
      set->wanted_last_ = -absl::InfiniteDuration();
      set->Want();
    }
  }
}

void IdentitySets::WatchExpiry(int64_t when) {
  if (when >= next_expiry_) {
    return;
  }
  next_expiry_ = when;
  loop_.Cancel(expiry_timer_);
  const absl::Duration left = absl::FromUnixSeconds(when) - clock_.Now();
  expiry_timer_ = loop_.After(std::min(left, kExpiryRecheck), [this] { OnExpiry(); });
}

void IdentitySets::OnExpiry() {
  next_expiry_ = INT64_MAX;
  expiry_timer_ = 0;
  for (const auto& set : sets_) {
    if (set->observed()) {
      set->UpdateAndTell();
    }
  }
}

}  // namespace assay
