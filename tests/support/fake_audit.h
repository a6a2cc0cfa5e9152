// SPDX-License-Identifier: GPL-3.0-or-later
// Remembers what calls say that they hand out.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "workload-api/audit.h"

namespace assay {

class FakeAudit final : public Audit {
 public:
  absl::Status Take(const AuditReceiver& receiver, std::span<const HandedOut> what) override {
    if (!answer.ok()) {
      return answer;
    }
    for (const HandedOut& one : what) {
      taken.push_back(fmt::format("{} {} {} {}", receiver.service, receiver.method, one.entry_id,
                                  one.kind == HandedOut::Kind::kJwtSvid ? "jwt" : one.serial));
      last = one;
    }
    caller = receiver.caller;
    pid = receiver.pid;
    return absl::OkStatus();
  }
  // Since the last time: "WorkloadAPI FetchX509SVID entry serial".
  std::vector<std::string> Taken() { return std::exchange(taken, {}); }

  absl::Status answer;
  std::vector<std::string> taken;
  HandedOut last;
  AuditedCaller caller;
  pid_t pid = 0;
};

}  // namespace assay
