// SPDX-License-Identifier: GPL-3.0-or-later
// Serve's side of the audit log: what calls hand out is told to the monitor before it is sent. How
// much of that is not written yet is known here, and bounded: beyond the bound nothing more is
// handed out, or what is handed out is counted and told of as a number. Owned by the event loop's
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/status.h"
#include "workload-api/audit.h"

namespace assay {

namespace roles {
class AuditState;
class HandedOutKeys;
}  // namespace roles

class AuditSender final : public Audit {
 public:
  static constexpr uint64_t kMaxUnwritten = 32 << 20;  // Bytes of messages.

  struct Options {
    // What cannot be written down is not handed out.
    bool refuse = true;
    // Tells the monitor.
    std::function<absl::Status(const roles::HandedOutKeys& keys)> tell;
  };
  explicit AuditSender(Options options) : options_(std::move(options)) {}

  absl::Status Take(const AuditReceiver& receiver, std::span<const HandedOut> what) override;
  // What the monitor says of the file.
  void OnState(const roles::AuditState& state);

 private:
  bool HasRoom() const { return sent_ - written_ < kMaxUnwritten; }
  absl::Status Tell(const roles::HandedOutKeys& keys);
  absl::Status TellUnwritten();

  const Options options_;
  uint64_t sent_ = 0;  // Bytes.
  uint64_t written_ = 0;
  bool failing_ = false;
  uint64_t unwritten_ = 0;  // Keys that were handed out without a word.
};

}  // namespace assay
