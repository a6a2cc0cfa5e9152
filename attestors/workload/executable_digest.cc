// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/workload/executable_digest.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/unique_fd.h"
#include "crypto/digest_stream.h"

namespace assay {
namespace {

constexpr size_t kReadBytes = 256 << 10;

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

absl::StatusOr<std::string> HashFile(int fd) {
  crypto::DigestStream digest(crypto::Hash::kSha256);
  std::vector<char> buffer(kReadBytes);
  for (;;) {
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

}  // namespace

ExecutableDigests::Key ExecutableDigests::KeyOf(const struct stat& info) {
  return {info.st_dev, info.st_ino, info.st_size, Nanoseconds(info.st_mtim),
          Nanoseconds(info.st_ctim)};
}

std::optional<std::string> ExecutableDigests::FindKey(const Key& key) {
  MutexLock lock(mutex_);
  const auto found = known_.find(key);
  return found == known_.end() ? std::nullopt : std::make_optional(found->second);
}

std::optional<std::string> ExecutableDigests::Find(int folder) {
  struct stat info {};
  if (fstatat(folder, "exe", &info, 0) != 0) {
    return std::nullopt;
  }
  return FindKey(KeyOf(info));
}

absl::StatusOr<std::string> ExecutableDigests::Get(int folder, std::string_view path) {
  if (std::optional<std::string> digest = Find(folder)) {
    return *std::move(digest);
  }
  UniqueFd file(openat(folder, "exe", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat before {};
  if (!file.valid() || fstat(file.get(), &before) != 0) {
    return ErrnoStatus(errno, "SHA256 digest: opening the executable");
  }
  if (limit_ > 0 && before.st_size > limit_) {
    return ResourceExhausted("SHA256 digest: workload {} exceeds size limit ({} > {})", path,
                             before.st_size, limit_);
  }
  ASSIGN_OR_RETURN(std::string digest, HashFile(file.get()));
  struct stat after {};
  if (fstat(file.get(), &after) != 0 || KeyOf(after) != KeyOf(before)) {
    return Unavailable("SHA256 digest: the executable was changed while it was read");
  }
  MutexLock lock(mutex_);
  if (known_.size() >= kMaxKnown) {
    known_.clear();
  }
  known_.emplace(KeyOf(before), digest);
  return digest;
}

}  // namespace assay
