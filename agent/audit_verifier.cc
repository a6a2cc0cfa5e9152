// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/audit_verifier.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/unique_fd.h"

namespace assay {
namespace {

constexpr size_t kReadBytes = 256 << 10;

absl::Status VerifyFile(const std::string& path, AuditVerifier& verifier) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file.valid()) {
    return ErrnoStatus(errno, fmt::format("opening {}", path));
  }
  verifier.BeginFile(path);
  std::string buffer(kReadBytes, '\0');
  for (;;) {
    const ssize_t got = read(file.get(), buffer.data(), buffer.size());
    if (got == 0) {
      return verifier.EndFile();
    }
    if (got < 0 && errno != EINTR) {
      return ErrnoStatus(errno, fmt::format("reading {}", path));
    }
    if (got > 0) {
      RETURN_IF_ERROR(verifier.Take({buffer.data(), static_cast<size_t>(got)}));
    }
  }
}

}  // namespace

absl::Status AuditVerifier::Bad(std::string_view why) const {
  return DataLoss("{}:{}: {}", file_, number_, why);
}

void AuditVerifier::BeginFile(std::string_view name) {
  file_ = name;
  number_ = 0;
}

absl::Status AuditVerifier::Take(std::string_view bytes) {
  for (size_t end = bytes.find('\n'); end != bytes.npos; end = bytes.find('\n')) {
    const std::string_view rest = bytes.substr(0, end);
    const absl::Status taken = begun_.empty() ? TakeLine(rest) : TakeLine(begun_.append(rest));
    begun_.clear();
    RETURN_IF_ERROR(taken);
    bytes.remove_prefix(end + 1);
  }
  begun_ += bytes;
  if (begun_.size() > kMaxPieceBytes) {
    ++number_;
    return Bad("it is longer than any line");
  }
  return absl::OkStatus();
}

absl::Status AuditVerifier::TakeLine(std::string_view text) {
  ++number_;
  const absl::StatusOr<AuditLine> line = ParseAuditLine(text);
  if (!line.ok()) {
    if (piece_.has_value()) {
      return piece_->why;
    }
    piece_ = {Bad(Message(line.status())), TornAuditLineOf(text)};
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(Follow(*line));
  ++lines_;
  last_hash_ = line->hash;
  found_ = found_ || line->hash == wanted_;
  return absl::OkStatus();
}

absl::Status AuditVerifier::Follow(const AuditLine& line) {
  if (piece_.has_value()) {
    if (line.torn != piece_->torn) {
      return piece_->why;
    }
    notes_.push_back(fmt::format("{}:{}: a piece of a line, which the agent found when it started",
                                 file_, number_ - 1));
    piece_.reset();
  } else if (line.torn.has_value()) {
    return Bad("it tells of a piece of a line before it, and there is none");
  }
  if (lines_ == 0) {
    begins_after_ = line.previous;
  } else if (line.previous != last_hash_) {
    return Bad(line.previous == NoAuditLine()
                   ? "a log begins anew here"
                   : "it does not follow the line before: lines are missing, moved or put in");
  }
  return absl::OkStatus();
}

absl::Status AuditVerifier::EndFile() {
  if (piece_.has_value()) {
    return piece_->why;
  }
  ++number_;
  if (!begun_.empty()) {
    return Bad("the last line is cut off");
  }
  return number_ == 1 ? DataLoss("{}: it is empty", file_) : absl::OkStatus();
}

absl::Status AuditVerifier::Finish() const {
  return wanted_.empty() || found_ ? absl::OkStatus()
                                   : DataLoss("no line has the hash {}", Quoted(wanted_));
}

absl::Status VerifyAuditFiles(const std::vector<std::string>& paths, AuditVerifier& verifier) {
  for (const std::string& path : paths) {
    RETURN_IF_ERROR(VerifyFile(path, verifier));
  }
  return verifier.Finish();
}

}  // namespace assay
