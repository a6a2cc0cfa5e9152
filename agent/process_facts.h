// SPDX-License-Identifier: GPL-3.0-or-later
// What /proc says of a process (proc(5)). Every read names its file under a folder descriptor; what
// is read holds for the process behind a pidfd only when that polls alive afterwards, because a
// number alone may have become another process's.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace assay {

// Effective credentials, as SO_PEERCRED has them.
struct ProcessCredentials {
  static constexpr size_t kMaxGroups = 1024;

  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // The first kMaxGroups of them.
  bool has_more_groups = false;

  // Equal for equal groups; never relied on against somebody who chooses groups.
  uint64_t GroupsDigest() const;
};

struct ExecutableFile {
  uint64_t device = 0;
  uint64_t inode = 0;
  bool hidden = false;  // There may be one, and this process may not see it.
};

// path is relative to folder: "status", or "123/status" under /proc.
absl::StatusOr<ProcessCredentials> ReadCredentials(int folder, const std::string& path);
// The same without groups, of the process whose /proc folder it is, at a tenth of the cost: the
// folder's owner, which is the effective user and group whatever else /proc hides (proc(5)). Of a
// process that is gone it is root.
absl::StatusOr<ProcessCredentials> ReadOwner(int folder);
// The file behind a link exe; zeros when it may not be seen or there is none. Its file system is
// not asked: a dead one would never answer.
ExecutableFile ReadExecutable(int folder, const std::string& path);

// The part of the above that reads no file, for its tests.
absl::StatusOr<ProcessCredentials> ParseStatus(std::string_view status);

}  // namespace assay
