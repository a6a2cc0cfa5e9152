// SPDX-License-Identifier: GPL-3.0-or-later
// grpc.health.v1.Health of a server as a whole. As the reference agent does, it refuses to speak of
// single services; unlike it, it also offers Watch. Owned by the event loop's thread.
#pragma once

#include <set>

#include "rpc/call.h"

namespace assay {

class HealthService final {
 public:
  explicit HealthService(bool serving) : serving_(serving) {}
  HealthService(const HealthService&) = delete;
  HealthService& operator=(const HealthService&) = delete;

  // The service must outlive the servers of the registry.
  void AddTo(rpc::Registry& registry);
  // Tells those who watch when it is news.
  void SetServing(bool serving);

 private:
  class Watcher;
  rpc::SharedFrame Status() const;

  bool serving_;
  std::set<rpc::Call*> watching_;
};

}  // namespace assay
