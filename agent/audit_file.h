// SPDX-License-Identifier: GPL-3.0-or-later
// The file of the audit log (agent/audit_chain.h): its chain goes on through restarts, and into the
// next file after a rotation. What cannot be written is kept, and written first the next time. Of
// one thread at a time.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/audit_chain.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

// The members that every line begins with, in the form that SealAuditLine takes.
std::string AuditMembers(absl::Time time, std::string_view kind);

class AuditFile final {
 public:
  // How much of the end of a file is looked at for its last line.
  static constexpr size_t kTailBytes = 1 << 20;

  // Opens the file for appending (mode 0600 where it is made), in a folder that nobody else could
  // have put there when this is root, and writes a line that says so. A piece of a line at the end
  // stays there, and the new line tells of it. FailedPrecondition when it is no audit log, when
  // others may write to it, or when another process writes to it.
  static absl::StatusOr<std::unique_ptr<AuditFile>> Open(const std::string& path, absl::Time now);
  AuditFile(const AuditFile&) = delete;
  AuditFile& operator=(const AuditFile&) = delete;

  // Adds a line of these members, to be written by Write.
  void Add(std::string_view members);
  // Writes what was added, to the disk. On failure what did not get there is kept.
  absl::Status Write();
  // Goes on in a new file where the path does not lead to this one any more; its first line is yet
  // to be written. One that is not empty is FailedPrecondition; on any failure this one stays.
  absl::Status Reopen(absl::Time now);

  uint64_t pending_bytes() const { return pending_.size(); }

 private:
  AuditFile(std::string path, UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}
  // Finds the end of the chain.
  absl::Status Continue();
  void Begin(absl::Time now);

  const std::string path_;
  UniqueFd file_;
  std::string last_hash_ = NoAuditLine();
  std::optional<TornAuditLine> torn_;  // The next line tells of it.
  std::string pending_;
  bool at_line_start_ = true;  // Of pending_.
};

}  // namespace assay
