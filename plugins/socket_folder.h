// SPDX-License-Identifier: GPL-3.0-or-later
// A folder for the sockets of one plugin, that nobody else may look into, and which goes with it.
#pragma once

#include <string>

#include "base/status.h"

namespace assay {

class PluginSocketFolder final {
 public:
  PluginSocketFolder() = default;
  ~PluginSocketFolder();
  PluginSocketFolder(const PluginSocketFolder&) = delete;
  PluginSocketFolder& operator=(const PluginSocketFolder&) = delete;

  // Makes it in the folder for temporary files, of mode 0700. Once.
  absl::Status Make();
  // Empty until it is made.
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace assay
