// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/delegates.h"

#include <utility>
#include <vector>

namespace assay {

void Delegates::Authorize(Ids ids) {
  if (ids == authorized_) {
    return;
  }
  authorized_ = std::move(ids);
  Recheck();
}

void Delegates::Recheck() {
  const std::vector<DelegateObserver*> observers(observers_.begin(), observers_.end());
  for (DelegateObserver* observer : observers) {
    observer->OnDelegatesChanged();
  }
}

absl::StatusOr<std::unique_ptr<Delegates::Share>> Delegates::Take(const std::string& spiffe_id) {
  if (const auto at = calls_.find(spiffe_id); at != calls_.end() && at->second >= kMostCalls) {
    return ResourceExhausted("the delegate has too many calls open");
  }
  return std::make_unique<Share>(*this, spiffe_id);
}

Delegates::Share::Share(Delegates& delegates, std::string spiffe_id)
    : delegates_(delegates), spiffe_id_(std::move(spiffe_id)) {
  ++delegates_.calls_[spiffe_id_];
}

Delegates::Share::~Share() {
  const auto at = delegates_.calls_.find(spiffe_id_);
  if (--at->second == 0) {
    delegates_.calls_.erase(at);
  }
}

}  // namespace assay
