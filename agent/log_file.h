// SPDX-License-Identifier: GPL-3.0-or-later
// A file that the monitor appends to, and that nobody else could have put where it is.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

// Opens the file for appending, with O_WRONLY or O_RDWR, and makes one of this mode where there is
// none. No symbolic link is followed, and nothing but a regular file of this user with one name is
// opened; as root in no folder that somebody else could have put there.
absl::StatusOr<UniqueFd> OpenLogFile(const std::string& path, int access, mode_t mode);

}  // namespace assay
