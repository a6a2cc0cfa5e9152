// SPDX-License-Identifier: GPL-3.0-or-later
// The openssl command, as a second opinion on what we write and a second writer of what we read.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace assay {

struct CommandResult {
  int exit_code = -1;
  std::string output;  // Standard output and error.
};

// Runs "openssl arguments" through the shell.
inline CommandResult RunOpenssl(const std::string& arguments) {
  CommandResult result;
  FILE* pipe = popen(("openssl " + arguments + " 2>&1").c_str(), "r");
  if (pipe == nullptr) {
    return result;
  }
  char buffer[4096];
  for (size_t size; (size = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    result.output.append(buffer, size);
  }
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

inline bool HaveOpenssl() { return RunOpenssl("version").exit_code == 0; }

}  // namespace assay

// Ends the test as skipped, saying why, when there is no openssl command.
#define SKIP_WITHOUT_OPENSSL()                                  \
  do {                                                          \
    if (!::assay::HaveOpenssl()) {                              \
      GTEST_SKIP() << "the openssl command is not on the path"; \
    }                                                           \
  } while (false)
