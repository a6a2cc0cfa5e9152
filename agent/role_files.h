// SPDX-License-Identifier: GPL-3.0-or-later
// What the monitor, while it is root, makes usable for the identity role's user: its folders, the
// operator's files that it reads, the TPM. Nothing that is somebody else's changes hands, and no
// symbolic link is followed at the end of a path.
#pragma once

#include <string>
#include <vector>

#include "agent/privileges.h"
#include "base/status.h"

namespace assay {

// Makes a folder that the user's role keeps state in: absent, it is made (mode 0700). One of root
// is given to the user with the agent's own files inside; if it holds others than those of `beside`
// it stays root's, and becomes sticky and writable for the user's group, so that the user can touch
// nothing in it but the agent's files. In a folder that is the user's already, the agent's files
// that are root's are given too. The system's own folders are not shared. FailedPrecondition, with
// what to do, when the user cannot keep its state there.
absl::Status GiveFolder(const std::string& path, const User& user,
                        const std::vector<std::string>& beside = {});

// Lets the user's group read a regular file of root that has no other name. Others, and those that
// are shared with a group already, stay as they are. An absent file is left for its reader to tell.
absl::Status LetRead(const std::string& path, const User& user);

// Lets the user's group use a TPM device, or a simulator's socket, that root alone may use.
absl::Status LetUseTpm(const std::string& path, const User& user);

// FailedPrecondition, naming the folder, when the user may not enter one on the way to path.
absl::Status CheckReachable(const std::string& path, const User& user);

}  // namespace assay
