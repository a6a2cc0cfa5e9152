// SPDX-License-Identifier: GPL-3.0-or-later
// Holds the lines of an audit log against their chain (agent/audit_chain.h), through all the files
// that it was rotated into. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/audit_chain.h"
#include "base/status.h"

namespace assay {

class AuditVerifier final {
 public:
  // Of a piece without a line feed, which an agent can have left.
  static constexpr size_t kMaxPieceBytes = 1 << 20;

  // The files in the order of their lines; of each its bytes, in parts of any size. DataLoss names
  // the first line that is not in order, "FILE:NUMBER: why"; nothing counts after it.
  void BeginFile(std::string_view name);
  absl::Status Take(std::string_view bytes);
  absl::Status EndFile();
  // After the last file.
  absl::Status Finish() const;

  uint64_t lines() const { return lines_; }
  const std::string& last_hash() const { return last_hash_; }
  // What the first line follows; NoAuditLine() where the whole log is there.
  const std::string& begins_after() const { return begins_after_; }
  // What is in order and yet worth a word, as "FILE:NUMBER: what".
  const std::vector<std::string>& notes() const { return notes_; }
  // Whether one of the lines has this hash: to be asked for before they come.
  void LookFor(std::string_view hash) { wanted_ = hash; }
  bool found() const { return found_; }

 private:
  struct Piece {
    absl::Status why;
    TornAuditLine torn;
  };

  absl::Status TakeLine(std::string_view text);
  absl::Status Follow(const AuditLine& line);
  absl::Status Bad(std::string_view why) const;

  std::string file_;
  uint64_t number_ = 0;         // Of the line in its file.
  std::string begun_;           // A line whose end has not come yet.
  std::optional<Piece> piece_;  // No line; the next one may account for it.
  uint64_t lines_ = 0;
  std::string last_hash_;
  std::string begins_after_;
  std::vector<std::string> notes_;
  std::string wanted_;
  bool found_ = false;
};

// Verifies whole files.
absl::Status VerifyAuditFiles(const std::vector<std::string>& paths, AuditVerifier& verifier);

}  // namespace assay
