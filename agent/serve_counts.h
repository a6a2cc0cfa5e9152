// SPDX-License-Identifier: GPL-3.0-or-later
// What the serve role counts of its callers, for the identity role to tell (agent/metrics.h). Owned
// by the serve role's thread.
#pragma once

#include <absl/time/time.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "agent/metrics_bounds.h"
#include "base/clock.h"
#include "base/status.h"
#include "rpc/server.h"

namespace assay {

namespace roles {
class Report;
}  // namespace roles

class ServeCounts final : public rpc::CallObserver {
 public:
  // The clock must outlive it.
  explicit ServeCounts(const Clock& clock) : clock_(clock) {}

  absl::Duration Now() const override { return clock_.SinceBoot(); }
  void OnCallBegin(std::string_view method) override;
  void OnFirstMessage(std::string_view method, absl::Duration elapsed) override;
  void OnCallEnd(std::string_view method, absl::StatusCode code, absl::Duration elapsed) override;
  void OnConnectionRefused() override { ++refused_connections_; }

  void NoteConnection() { ++connections_; }
  // Of a caller, that found so many selectors or failed.
  void NoteAttestation(absl::StatusCode code, absl::Duration elapsed, size_t selectors);

  // All but its number and the open connections.
  void FillIn(roles::Report& report) const;

 private:
  struct Count {
    uint64_t count = 0;
    absl::Duration elapsed;
    uint64_t selectors = 0;
  };
  struct ByMethodAndCode {
    using is_transparent = void;
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return std::pair<int, std::string_view>(a.first, a.second) <
             std::pair<int, std::string_view>(b.first, b.second);
    }
  };

  struct Service {
    uint64_t calls = 0;
    uint32_t open_calls = 0;
  };

  const Clock& clock_;
  std::map<std::string, Service, std::less<>> services_;
  std::map<std::pair<int, std::string>, Count, ByMethodAndCode> calls_;
  std::map<int, Count> attestations_;
  uint64_t connections_ = 0;
  uint64_t refused_connections_ = 0;
  std::array<uint64_t, kFirstSvidBounds.size() + 1> first_svids_{};
  absl::Duration first_svid_time_;
};

}  // namespace assay
