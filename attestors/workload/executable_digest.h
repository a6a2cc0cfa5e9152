// SPDX-License-Identifier: GPL-3.0-or-later
// SHA-256 of executables, each file read once for as long as it stays the same. Thread-safe.
#pragma once

#include <sys/stat.h>

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "base/status.h"

namespace assay {

class ExecutableDigests final {
 public:
  // limit: bytes of the largest file that is hashed; 0: any.
  explicit ExecutableDigests(int64_t limit) : limit_(limit) {}

  // The digest of /proc/PID/exe in lower-case hex, folder being a descriptor of /proc/PID, if it is
  // known without reading the file.
  std::optional<std::string> Find(int folder);
  // The same, reading the file when it must; path is what errors call it.
  absl::StatusOr<std::string> Get(int folder, std::string_view path);

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

  static Key KeyOf(const struct stat& info);
  std::optional<std::string> FindKey(const Key& key);

  const int64_t limit_;
  Mutex mutex_;
  std::map<Key, std::string> known_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace assay
