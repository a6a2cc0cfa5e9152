// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/last_refusals.h"

#include <algorithm>
#include <utility>

#include "crypto/digest.h"

namespace assay {
namespace {

constexpr size_t kReasonSize = 12;
constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

// It says nothing of the refusal, and another caller's cannot be guessed.
std::string NewReason() {
  std::string reason = crypto::RandomBytes(kReasonSize);
  for (char& c : reason) {
    c = kDigits[static_cast<unsigned char>(c) % kDigits.size()];
  }
  return reason;
}

// More or less what it takes.
size_t BytesOf(const Refusal& refusal) {
  size_t bytes = sizeof(refusal) + refusal.service.size() + refusal.method.size() +
                 refusal.error.size() + refusal.asked_for.size();
  for (const Selector& selector : refusal.selectors) {
    bytes += sizeof(selector) + selector.type.size() + selector.value.size();
  }
  for (const AttestorRun& run : refusal.runs) {
    bytes += sizeof(run) + run.name.size() + run.error.size();
  }
  return bytes;
}

}  // namespace

std::string LastRefusals::Note(Refusal refusal) {
  refusal.last_at = clock_.Now();
  if (const auto same = FindSame(refusal); same != refusals_.end()) {
    const Refusal& before = same->second.refusal;
    refusal.reason = before.reason;
    refusal.first_at = before.first_at;
    refusal.count = before.count;
    Forget(same);
  } else {
    refusal.reason = NewReason();
    refusal.first_at = refusal.last_at;
  }
  ++refusal.count;
  std::string reason = refusal.reason;
  const std::string owner = std::to_string(refusal.uid);
  const uint64_t number = ++last_number_;
  const uint64_t places = std::min<uint64_t>(BytesOf(refusal) / kPlaceBytes + 1, kMostPlacesOfOne);
  refusals_.emplace(number, Remembered{std::move(refusal), places});
  for (uint64_t i = 0; i < places; ++i) {
    places_.Add(owner, number * kMostPlacesOfOne + i);
  }
  while (places_.size() > kPlaces) {
    Forget(refusals_.find(*places_.OldestOfLargest() / kMostPlacesOfOne));
  }
  return reason;
}

LastRefusals::Refusals::iterator LastRefusals::FindSame(const Refusal& refusal) {
  return std::find_if(refusals_.begin(), refusals_.end(), [&](const auto& one) {
    const Refusal& other = one.second.refusal;
    return other.pid == refusal.pid && other.uid == refusal.uid && other.gid == refusal.gid &&
           other.service == refusal.service && other.error == refusal.error &&
           other.asked_for == refusal.asked_for && other.attested == refusal.attested &&
           other.selectors == refusal.selectors;
  });
}

void LastRefusals::Forget(Refusals::iterator refusal) {
  const std::string owner = std::to_string(refusal->second.refusal.uid);
  for (uint64_t i = 0; i < refusal->second.places; ++i) {
    places_.Remove(owner, refusal->first * kMostPlacesOfOne + i);
  }
  refusals_.erase(refusal);
}

const Refusal* LastRefusals::Find(std::string_view reason) const {
  const auto found = std::find_if(refusals_.begin(), refusals_.end(), [&](const auto& one) {
    return one.second.refusal.reason == reason;
  });
  return found == refusals_.end() ? nullptr : &found->second.refusal;
}

std::vector<const Refusal*> LastRefusals::Newest(size_t most) const {
  std::vector<const Refusal*> newest;
  for (auto at = refusals_.rbegin(); at != refusals_.rend() && newest.size() < most; ++at) {
    newest.push_back(&at->second.refusal);
  }
  return newest;
}

}  // namespace assay
