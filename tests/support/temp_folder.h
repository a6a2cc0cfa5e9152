// SPDX-License-Identifier: GPL-3.0-or-later
// A folder of a test's own, mode 0700, removed with everything in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace assay {

class TempFolder final {
 public:
  TempFolder() {
    std::string made = (std::filesystem::temp_directory_path() / "assay-XXXXXX").string();
    if (mkdtemp(made.data()) == nullptr) {
      std::abort();
    }
    path_ = made;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace assay
