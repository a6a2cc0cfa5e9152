// SPDX-License-Identifier: GPL-3.0-or-later
// The program of a plugin. It is opened once, and what was opened is what is executed, whatever its
// path names by then. With a checksum it is a copy in memory that nobody can change any more: the
// checksum is taken of that, and that is executed. Of a script that holds for the script alone, and
// not for its interpreter or what it starts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

class PluginProgram final {
 public:
  // The longest that can have a checksum.
  static constexpr int64_t kMaxBytes = int64_t{512} << 20;

  // The checksum is the SHA-256 in hex, or empty: then any program will do. PermissionDenied when
  // the program has another, or must not be executed.
  static absl::StatusOr<PluginProgram> Open(const std::string& path, std::string_view checksum);

  // Absolute, for its arguments.
  const std::string& path() const { return path_; }
  // Close-on-exec. An interpreter opens a script by this descriptor, and must have it open.
  int fd() const { return fd_.get(); }
  bool is_script() const { return is_script_; }

 private:
  PluginProgram(std::string path, UniqueFd fd, bool is_script)
      : path_(std::move(path)), fd_(std::move(fd)), is_script_(is_script) {}

  std::string path_;
  UniqueFd fd_;
  bool is_script_;
};

// InvalidArgument for a checksum that no program has: not hex, or of another length.
absl::Status CheckPluginChecksum(std::string_view checksum);

}  // namespace assay
