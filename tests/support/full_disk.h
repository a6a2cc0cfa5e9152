// SPDX-License-Identifier: GPL-3.0-or-later
// As long as one lives this process cannot make files longer than so many bytes: what a write to a
// full disk is like, whoever the user is.
#pragma once

#include <sys/resource.h>

#include <csignal>

namespace assay {

class FullDisk final {
 public:
  explicit FullDisk(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
};

}  // namespace assay
