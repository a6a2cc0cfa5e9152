// SPDX-License-Identifier: GPL-3.0-or-later
// The authority's configuration file, in SPIRE Server's format and with its option names, HCL or
// JSON. What the authority cannot do is an error, what has no effect on it a warning.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "authority/options.h"
#include "base/status.h"

namespace assay {

struct AuthorityConfig {
  AuthorityOptions options;
  std::vector<std::string> warnings;  // One a line of the log.
};

// Options of the server block that the command line gives in place of the file:
// {"trust_domain", "example.org"}.
using AuthorityOverrides = std::vector<std::pair<std::string, std::string>>;

// The configuration of a text. All mistakes are found at once: InvalidArgument with one a line,
// each with its place in the text or the name of its option.
absl::StatusOr<AuthorityConfig> ParseAuthorityConfig(std::string_view name, std::string_view text,
                                                     const AuthorityOverrides& overrides);

// The same of a file; with expand_env, $NAME and ${NAME} in it stand for variables of the
// environment, unset ones for nothing.
absl::StatusOr<AuthorityConfig> LoadAuthorityConfig(const std::string& path, bool expand_env,
                                                    const AuthorityOverrides& overrides);

}  // namespace assay
