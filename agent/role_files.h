// SPDX-License-Identifier: GPL-3.0-or-later
// What the monitor, while it is root, makes usable for the identity role's user: its folders, the
// operator's files that it reads, the TPM. Nothing that is somebody else's changes hands, and no
// path is followed that the role's user, or another but root, could lead elsewhere
// (base/guarded_files.h).
#pragma once

#include <string>
#include <vector>

#include "agent/privileges.h"
#include "base/status.h"

namespace assay {

// A folder that the role keeps state in.
struct StateFolder {
  std::string path;
  bool has_keys = false;                 // keys.json in it is the agent's.
  std::vector<std::string> beside = {};  // The operator's files that the role reads, of any folder.
};
// Absent, it is made (mode 0700). One of root is given to the user with the agent's own files
// inside; those of `beside` stay root's. If it holds folders of root's too it stays root's, and
// becomes sticky and writable for the user's group, so that the user can touch none of them. In a
// folder that is the user's already, or shared so, and below it, nothing changes hands. The
// system's own folders do not either. FailedPrecondition, with what to do, when the user cannot
// keep its state there.
absl::Status GiveFolder(const StateFolder& state, const User& user);

// Lets the user's group read a regular file of root that has no other name. Others, and those that
// are shared with a group already, stay as they are, and those in a folder that is not root's. An
// absent file is left for its reader to tell. Needs CAP_CHOWN, or CAP_SETGID.
absl::Status LetRead(const std::string& path, const User& user);

// Lets the user's group use a TPM device, or a simulator's socket, that root alone may use.
absl::Status LetUseTpm(const std::string& path, const User& user);

// FailedPrecondition, naming the folder, when the user may not enter one on the way to path.
absl::Status CheckReachable(const std::string& path, const User& user);

}  // namespace assay
