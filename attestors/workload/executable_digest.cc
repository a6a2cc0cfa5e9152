// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/workload/executable_digest.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <vector>

#include "base/unique_fd.h"
#include "crypto/digest_stream.h"

namespace assay {
namespace {

constexpr size_t kReadBytes = 256 << 10;
// How often who waits for another's reading sees whether his own process lives.
constexpr std::chrono::milliseconds kLook(200);

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

bool IsDead(int pidfd) {
  pollfd ended{.fd = pidfd, .events = POLLIN, .revents = 0};
  return pidfd >= 0 && poll(&ended, 1, 0) != 0;
}

}  // namespace

ExecutableDigests::Key ExecutableDigests::KeyOf(const struct stat& info) {
  return {info.st_dev, info.st_ino, info.st_size, Nanoseconds(info.st_mtim),
          Nanoseconds(info.st_ctim)};
}

absl::Status ExecutableDigests::CheckWanted(const Subject& subject, absl::Duration deadline) const {
  if (IsDead(subject.pidfd)) {
    return Unavailable("SHA256 digest: the process has ended");
  }
  if (clock_.SinceBoot() >= deadline) {
    return Unavailable("SHA256 digest: reading the executable takes more than {}",
                       absl::FormatDuration(kTimeout));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ExecutableDigests::Hash(int fd, const Subject& subject,
                                                    absl::Duration deadline) const {
  crypto::DigestStream digest(crypto::Hash::kSha256);
  std::vector<char> buffer(kReadBytes);
  for (;;) {
    RETURN_IF_ERROR(CheckWanted(subject, deadline));
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return ErrnoStatus(errno, "SHA256 digest: reading the executable");
    }
    if (got == 0) {
      return crypto::HexEncode(digest.Finish());
    }
    digest.Update({buffer.data(), static_cast<size_t>(got)});
  }
}

absl::StatusOr<std::optional<std::string>> ExecutableDigests::Await(const Key& key,
                                                                    const Subject& subject,
                                                                    absl::Duration deadline) {
  MutexLock lock(mutex_);
  for (;;) {
    if (const auto found = known_.find(key); found != known_.end()) {
      return found->second;
    }
    if (being_read_.insert(key).second) {
      return std::nullopt;
    }
    RETURN_IF_ERROR(CheckWanted(subject, deadline));
    changed_.WaitFor(mutex_, kLook);
  }
}

void ExecutableDigests::Finish(const Key& key, const absl::StatusOr<std::string>& digest) {
  MutexLock lock(mutex_);
  being_read_.erase(key);
  changed_.NotifyAll();
  if (!digest.ok() || absl::FromUnixNanos(key.changed_ns) > clock_.Now() - kSettled) {
    return;
  }
  if (known_.size() >= kMaxKnown) {
    known_.erase(known_.begin());
  }
  known_.emplace(key, *digest);
}

absl::StatusOr<std::string> ExecutableDigests::Get(const Subject& subject) {
  const absl::Duration deadline = clock_.SinceBoot() + kTimeout;
  UniqueFd file(openat(subject.folder, "exe", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat before {};
  if (!file.valid() || fstat(file.get(), &before) != 0) {
    return ErrnoStatus(errno, "SHA256 digest: opening the executable");
  }
  if (limit_ > 0 && before.st_size > limit_) {
    return ResourceExhausted("SHA256 digest: the executable exceeds size limit ({} > {})",
                             before.st_size, limit_);
  }
  const Key key = KeyOf(before);
  ASSIGN_OR_RETURN(std::optional<std::string> known, Await(key, subject, deadline));
  if (known.has_value()) {
    return *std::move(known);
  }
  absl::StatusOr<std::string> digest = Hash(file.get(), subject, deadline);
  struct stat after {};
  if (digest.ok() && (fstat(file.get(), &after) != 0 || KeyOf(after) != key)) {
    digest = Unavailable("SHA256 digest: the executable was changed while it was read");
  }
  Finish(key, digest);
  return digest;
}

}  // namespace assay
