// SPDX-License-Identifier: GPL-3.0-or-later
// The command line of `run` and `validate`: where the configuration is, and what overrides it.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config.h"
#include "base/arguments.h"
#include "base/status.h"

namespace assay {

class ConfigArguments final {
 public:
  // command is "run" or "validate".
  explicit ConfigArguments(std::string_view command);
  ConfigArguments(const ConfigArguments&) = delete;
  ConfigArguments& operator=(const ConfigArguments&) = delete;

  // As Arguments::Parse.
  absl::Status Parse(const std::vector<std::string>& arguments) {
    return arguments_.Parse(arguments);
  }
  std::string Usage() const { return arguments_.Usage(); }

  const std::string& config_path() const { return config_path_; }
  bool expand_env() const { return expand_env_; }
  ConfigOverrides overrides() const;
  // The flag that stands for an option of the agent block; empty: none does.
  std::string_view FlagOf(std::string_view option) const;

 private:
  // A flag that stands for an option of the agent block.
  struct Override {
    std::string_view flag;
    std::string_view option;
    enum class Kind { kText, kBool, kInt } kind;
    std::string text;
    bool boolean = false;
    int64_t integer = 0;
  };

  std::string config_path_{kDefaultConfigPath};
  bool expand_env_ = false;
  std::deque<Override> overrides_;
  Arguments arguments_;
};

// The configuration of a file's text under the arguments of `run`.
absl::StatusOr<AgentConfig> ParseAgentConfig(std::string_view name, std::string_view text,
                                             const std::vector<std::string>& arguments,
                                             const PluginFileReader& read = ReadPluginFile);

}  // namespace assay
