// SPDX-License-Identifier: GPL-3.0-or-later
// SHA-256 of executables, each file read once for as long as it stays the same, by one thread while
// others wait for its result. Thread-safe.
#pragma once

#include <absl/time/time.h>
#include <sys/stat.h>

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "attestors/workload/workload_attestor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"

namespace assay {

class ExecutableDigests final {
 public:
  // Nobody waits longer for an attestation.
  static constexpr absl::Duration kTimeout = absl::Seconds(30);

  // limit: bytes of the largest file that is hashed; 0: any.
  ExecutableDigests(const Clock& clock, int64_t limit) : clock_(clock), limit_(limit) {}

  // The digest of the process's executable in lower-case hex. Reads the file when it must, and
  // gives up when the process dies, or after kTimeout. Errors do not name the file, which would put
  // the value of a selector into the log.
  absl::StatusOr<std::string> Get(const Subject& subject);

 private:
  // What tells that a file is the same, unchanged: a write moves ctime, which nobody can set.
  struct Key {
    dev_t device;
    ino_t inode;
    off_t size;
    int64_t modified_ns;
    int64_t changed_ns;
    auto operator<=>(const Key&) const = default;
  };
  static constexpr size_t kMaxKnown = 4096;
  // Two changes of a file that follow each other closer may have the same ctime.
  static constexpr absl::Duration kSettled = absl::Seconds(1);

  static Key KeyOf(const struct stat& info);
  // The digest when it is known; else the file is the caller's to read, and Finish must follow.
  absl::StatusOr<std::optional<std::string>> Await(const Key& key, const Subject& subject,
                                                   absl::Duration deadline);
  void Finish(const Key& key, const absl::StatusOr<std::string>& digest);
  absl::Status CheckWanted(const Subject& subject, absl::Duration deadline) const;
  absl::StatusOr<std::string> Hash(int fd, const Subject& subject, absl::Duration deadline) const;

  const Clock& clock_;
  const int64_t limit_;
  Mutex mutex_;
  CondVar changed_;
  std::map<Key, std::string> known_ ABSL_GUARDED_BY(mutex_);
  std::set<Key> being_read_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace assay
