// SPDX-License-Identifier: GPL-3.0-or-later
// Every trust bundle that this node has, as the two answers that delegates get of them: built when
// asked for after a change, and shared by all their streams. Owned by the event loop's thread.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rpc/call.h"
#include "workload-api/served_state.h"

namespace assay {

class DelegatedBundlesObserver {
 public:
  virtual ~DelegatedBundlesObserver() = default;
  // There may be another answer; it may stop watching in the call.
  virtual void OnBundlesChanged() = 0;
};

class DelegatedBundles final {
 public:
  // The state must outlive it, and it the observers.
  explicit DelegatedBundles(const ServedState& state) : state_(state) {}
  DelegatedBundles(const DelegatedBundles&) = delete;
  DelegatedBundles& operator=(const DelegatedBundles&) = delete;

  // Null before the first state.
  rpc::SharedFrame x509();
  rpc::SharedFrame jwt();

  // After a commit of the state.
  void Refresh();
  void Observe(DelegatedBundlesObserver& observer) { observers_.insert(&observer); }
  void Forget(DelegatedBundlesObserver& observer) { observers_.erase(&observer); }

 private:
  using Versions = std::vector<std::pair<std::string, uint64_t>>;

  void Update();

  const ServedState& state_;
  Versions versions_;  // Of what the frames were built of.
  rpc::SharedFrame x509_;
  rpc::SharedFrame jwt_;
  std::set<DelegatedBundlesObserver*> observers_;
};

}  // namespace assay
