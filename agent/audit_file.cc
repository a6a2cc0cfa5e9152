// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/audit_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/log_file.h"
#include "base/log.h"

namespace assay {
namespace {

constexpr mode_t kMode = 0600;
constexpr std::string_view kBeginning = "{\"time\":\"";

absl::StatusOr<struct stat> Look(int file, const std::string& path) {
  struct stat info {};
  if (fstat(file, &info) != 0) {
    return ErrnoStatus(errno, fmt::format("looking at {}", path));
  }
  return info;
}

absl::StatusOr<UniqueFd> OpenFile(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd file, OpenLogFile(path, O_RDWR, kMode));
  ASSIGN_OR_RETURN(const struct stat info, Look(file.get(), path));
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return FailedPrecondition("{} is writable by others: take that right away (chmod go-w)", path);
  }
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return errno == EWOULDBLOCK ? FailedPrecondition("another process writes to {}", path)
                                : ErrnoStatus(errno, fmt::format("locking {}", path));
  }
  return file;
}

absl::StatusOr<std::string> ReadTail(int file, const std::string& path) {
  ASSIGN_OR_RETURN(const struct stat info, Look(file, path));
  const auto size = static_cast<size_t>(info.st_size);
  std::string tail(std::min(size, AuditFile::kTailBytes), '\0');
  for (size_t done = 0; done < tail.size();) {
    const ssize_t got = pread(file, tail.data() + done, tail.size() - done,
                              static_cast<off_t>(size - tail.size() + done));
    if (got <= 0) {
      return got < 0 ? ErrnoStatus(errno, fmt::format("reading {}", path))
                     : DataLoss("{} became shorter while it was read", path);
    }
    done += static_cast<size_t>(got);
  }
  return tail;
}

struct Tail {
  std::optional<AuditLine> last;
  std::string_view piece;  // Behind it.
};

// The last line of all that are whole.
Tail FindLast(std::string_view tail) {
  size_t end = tail.rfind('\n');
  while (end != tail.npos) {
    const size_t before = end == 0 ? tail.npos : tail.rfind('\n', end - 1);
    const size_t begin = before == tail.npos ? 0 : before + 1;
    absl::StatusOr<AuditLine> line = ParseAuditLine(tail.substr(begin, end - begin));
    if (line.ok()) {
      return {*std::move(line), tail.substr(end + 1)};
    }
    end = before;
  }
  return {std::nullopt, tail};
}

// Writes the bytes; how many of them, and what stopped it.
std::pair<size_t, absl::Status> WriteSome(int file, std::string_view bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = write(file, bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) {
      continue;
    }
    if (wrote <= 0) {
      return {done, ErrnoStatus(wrote < 0 ? errno : ENOSPC, "writing")};
    }
    done += static_cast<size_t>(wrote);
  }
  return {done,
          fdatasync(file) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "writing to the disk")};
}

}  // namespace

std::string AuditMembers(absl::Time time, std::string_view kind) {
  return fmt::format("{}{}\",\"kind\":\"{}\"", kBeginning,
                     absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone()), kind);
}

absl::StatusOr<std::unique_ptr<AuditFile>> AuditFile::Open(const std::string& path,
                                                           absl::Time now) {
  ASSIGN_OR_RETURN(UniqueFd file, OpenFile(path));
  std::unique_ptr<AuditFile> opened(new AuditFile(path, std::move(file)));
  RETURN_IF_ERROR(opened->Continue());
  opened->Begin(now);
  RETURN_IF_ERROR(WithContext(opened->Write(), path));
  return opened;
}

absl::Status AuditFile::Continue() {
  ASSIGN_OR_RETURN(const std::string tail, ReadTail(file_.get(), path_));
  if (tail.empty()) {
    return absl::OkStatus();
  }
  const auto [last, piece] = FindLast(tail);
  const bool is_first = tail.size() < kTailBytes && tail.find('\n') == tail.npos &&
                        std::string_view(tail).starts_with(kBeginning);
  if (!last.has_value() && !is_first) {
    return FailedPrecondition("{} is no audit log, or its end is damaged: move it away", path_);
  }
  last_hash_ = last.has_value() ? last->hash : NoAuditLine();
  if (!piece.empty()) {
    log::Error("Audit log ends with what is no line, which stays there",
               {{"bytes", piece.size()}, {"file", path_}});
    torn_ = TornAuditLineOf(piece);
    pending_ = piece.ends_with('\n') ? "" : "\n";
  }
  return absl::OkStatus();
}

void AuditFile::Begin(absl::Time now) {
  std::string members = AuditMembers(now, "opened");
  if (const auto torn = std::exchange(torn_, std::nullopt); torn.has_value()) {
    members +=
        fmt::format(",\"torn\":{{\"bytes\":{},\"sha256\":\"{}\"}}", torn->bytes, torn->sha256);
  }
  Add(members);
}

void AuditFile::Add(std::string_view members) {
  SealedAuditLine line = SealAuditLine(members, last_hash_);
  pending_ += line.text;
  last_hash_ = std::move(line.hash);
}

absl::Status AuditFile::Write() {
  if (pending_.empty()) {
    return absl::OkStatus();
  }
  auto [done, status] = WriteSome(file_.get(), pending_);
  if (done > 0 && done < pending_.size()) {
    // The rest of a line may have to wait, and the agent may end before: no piece is left behind.
    const size_t end = pending_.rfind('\n', done - 1);
    const size_t whole = end == std::string::npos ? 0 : end + 1;
    const absl::StatusOr<struct stat> info = Look(file_.get(), path_);
    if (done > whole && info.ok() &&
        ftruncate(file_.get(), info->st_size - static_cast<off_t>(done - whole)) == 0) {
      done = whole;
    }
  }
  if (done > 0) {
    at_line_start_ = pending_[done - 1] == '\n';
    pending_.erase(0, done);
  }
  return status;
}

absl::Status AuditFile::Reopen(absl::Time now) {
  ASSIGN_OR_RETURN(const struct stat old_info, Look(file_.get(), path_));
  struct stat info {};
  if (stat(path_.c_str(), &info) == 0 && info.st_dev == old_info.st_dev &&
      info.st_ino == old_info.st_ino) {
    return absl::OkStatus();
  }
  // To a disk that is full nothing more may go: the lines that wait may begin the new file.
  (void)Write();
  if (!at_line_start_) {
    return FailedPrecondition("the last line in the old file is not whole yet");
  }
  ASSIGN_OR_RETURN(UniqueFd file, OpenFile(path_));
  ASSIGN_OR_RETURN(const struct stat new_info, Look(file.get(), path_));
  if (new_info.st_size != 0) {
    return FailedPrecondition("{} is not empty: move it away", path_);
  }
  file_ = std::move(file);
  Begin(now);
  return absl::OkStatus();
}

}  // namespace assay
