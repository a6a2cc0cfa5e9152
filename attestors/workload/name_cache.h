// SPDX-License-Identifier: GPL-3.0-or-later
// Names of users and groups by number, remembered for a while: asking the system for one reads a
// file or asks a directory service. Thread-safe.
#pragma once

#include <absl/time/time.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <deque>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/mutex.h"

namespace assay {

class NameCache final {
 public:
  // Asks the system; nothing where the number has no name.
  using Lookup = std::optional<std::string> (*)(id_t id);

  // Names are forgotten after kMaxAge, and within kRecheck of a change of file (/etc/passwd).
  NameCache(const Clock& clock, std::string file, Lookup lookup)
      : clock_(clock), file_(std::move(file)), lookup_(lookup) {}

  std::optional<std::string> Get(id_t id);
  // Whether Get would not ask the system.
  bool Knows(id_t id);

  static constexpr absl::Duration kMaxAge = absl::Seconds(60);
  static constexpr absl::Duration kRecheck = absl::Seconds(1);

 private:
  struct Name {
    std::optional<std::string> name;
    absl::Duration asked;
  };
  static constexpr size_t kMaxNames = 16384;  // Of more the oldest are forgotten.

  void ForgetWhenFileChanged() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  const Name* Find(id_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  const std::string file_;
  const Lookup lookup_;
  Mutex mutex_;
  std::unordered_map<id_t, Name> names_ ABSL_GUARDED_BY(mutex_);
  std::deque<id_t> by_age_ ABSL_GUARDED_BY(mutex_);  // The oldest first.
  absl::Duration checked_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  struct stat file_info_ ABSL_GUARDED_BY(mutex_) = {};
};

// What getpwuid and getgrgid say.
std::optional<std::string> LookupUserName(id_t uid);
std::optional<std::string> LookupGroupName(id_t gid);

}  // namespace assay
