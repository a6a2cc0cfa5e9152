// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_signing_queue.h"

#include <algorithm>

namespace assay {

void SigningQueue::Add(std::string_view id, Urgency urgency, absl::Time expires) {
  const std::string name(id);
  uint64_t number = next_number_++;
  if (const auto at = queued_.find(name); at != queued_.end()) {
    const auto& [old_urgency, old_expires, old_number, unused] = *at->second;
    if (std::tie(old_urgency, old_expires) <= std::tie(urgency, expires)) {
      return;
    }
    number = old_number;
    order_.erase(at->second);
    queued_.erase(at);
  }
  queued_[name] = order_.emplace(urgency, expires, number, name).first;
}

void SigningQueue::Remove(std::string_view id) {
  if (const auto at = queued_.find(std::string(id)); at != queued_.end()) {
    order_.erase(at->second);
    queued_.erase(at);
  }
}

std::vector<std::string> SigningQueue::TakeBatch() {
  std::vector<std::string> batch;
  if (is_away_ || order_.empty()) {
    return batch;
  }
  const Urgency urgency = std::get<0>(*order_.begin());
  const size_t most = urgency == Urgency::kPrefetch ? kMostPrefetched : kMostAtOnce;
  const size_t limit = std::min(most, batch_limit_);
  while (batch.size() < limit && !order_.empty() && std::get<0>(*order_.begin()) == urgency) {
    batch.push_back(std::get<3>(*order_.begin()));
    Remove(batch.back());
  }
  is_away_ = true;
  away_size_ = batch.size();
  return batch;
}

void SigningQueue::Finish(bool success) {
  is_away_ = false;
  batch_limit_ = success ? std::min(batch_limit_ * 2, kMostAtOnce)
                         : std::max<size_t>(std::min(batch_limit_, away_size_) / 2, 1);
}

}  // namespace assay
