// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/socket_folder.h"

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace assay {

PluginSocketFolder::~PluginSocketFolder() {
  if (!path_.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
}

absl::Status PluginSocketFolder::Make() {
  std::error_code error;
  const std::filesystem::path above = std::filesystem::temp_directory_path(error);
  std::string path = (above / "assay-plugin-XXXXXX").string();
  if (error || mkdtemp(path.data()) == nullptr) {
    return ErrnoStatus(errno, fmt::format("making a folder {} for a plugin's sockets", path));
  }
  path_ = std::move(path);
  return absl::OkStatus();
}

}  // namespace assay
