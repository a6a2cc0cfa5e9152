// SPDX-License-Identifier: GPL-3.0-or-later
// Who may use the Delegated Identity API, and how many calls each has open: a delegate that opens
// streams without end takes nothing from another. Owned by the event loop's thread.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "base/status.h"

namespace assay {

// A call that must end when its delegate is not authorized any more.
class DelegateObserver {
 public:
  virtual ~DelegateObserver() = default;
  // He may be none now.
  virtual void OnDelegatesChanged() = 0;
};

class Delegates final {
 public:
  using Ids = std::set<std::string, std::less<>>;

  // Of one delegate at a time. What they keep of their requests is charged to its user.
  static constexpr size_t kMostCalls = 4096;

  Delegates() = default;
  Delegates(const Delegates&) = delete;
  Delegates& operator=(const Delegates&) = delete;

  // These SPIFFE IDs alone, from now on: calls of others end.
  void Authorize(Ids ids);
  bool IsAuthorized(std::string_view spiffe_id) const { return authorized_.contains(spiffe_id); }

  // A call of the delegate's, until it is destroyed, which must be before the delegates.
  class Share {
   public:
    Share(Delegates& delegates, std::string spiffe_id);
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    Delegates& delegates_;
    const std::string spiffe_id_;
  };
  // ResourceExhausted when the delegate has too many already.
  absl::StatusOr<std::unique_ptr<Share>> Take(const std::string& spiffe_id);

  // Their identities may have changed: calls of who is no delegate any more end.
  void Recheck();

  void Observe(DelegateObserver& observer) { observers_.insert(&observer); }
  void Forget(DelegateObserver& observer) { observers_.erase(&observer); }

 private:
  Ids authorized_;
  std::map<std::string, size_t> calls_;  // By SPIFFE ID, those that have any.
  std::set<DelegateObserver*> observers_;
};

}  // namespace assay
