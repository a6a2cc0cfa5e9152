// SPDX-License-Identifier: GPL-3.0-or-later
// The configuration on its way to the identity role and to plugins' roles: an anonymous file in
// memory that nobody can change any more. The monitor keeps its descriptor for restarts and none of
// the bytes, in which passwords and tokens may be.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

namespace roles {
class IdentityStart;
class PluginStart;
}  // namespace roles

// Of a configuration's text, its name for messages, the arguments of `run`, and the contents of
// the files that plugin_data_file names, by name.
absl::StatusOr<UniqueFd> SealIdentityStart(
    std::string_view name, std::string_view text, const std::vector<std::string>& arguments,
    const std::map<std::string, std::string_view>& files = {});
// Of one plugin; wipes what it is made of.
absl::StatusOr<UniqueFd> SealPluginStart(roles::PluginStart start);
// Adds the contents of such a file to start; InvalidArgument for another file.
absl::Status OpenSealedStart(int fd, roles::IdentityStart& start);
absl::Status OpenSealedStart(int fd, roles::PluginStart& start);
// Overwrites the texts and the arguments in start.
void WipeStart(roles::IdentityStart& start);
void WipeStart(roles::PluginStart& start);

}  // namespace assay
