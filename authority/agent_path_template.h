// SPDX-License-Identifier: GPL-3.0-or-later
// agent_path_template of a node attestor: the path of an agent's SPIFFE ID below /spire/agent, with
// {{ .Name }} wherever something stands that attestation proved. Of Go's templates, which SPIRE
// Server reads, these places alone; functions and pipelines are refused.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace assay {

class AgentPathTemplate final {
 public:
  // The names of what may stand in it, with their values when it is expanded.
  using Values = std::span<const std::pair<std::string_view, std::string>>;

  // InvalidArgument when it does not begin with "/", or names something that is not in names.
  static absl::StatusOr<AgentPathTemplate> Parse(std::string_view text,
                                                 std::span<const std::string_view> names);

  // "/spire/agent/...": whether it can be a SPIFFE ID's path depends on the values, which are not
  // escaped. InvalidArgument when a value brings a "/" or is empty.
  absl::StatusOr<std::string> Expand(Values values) const;

 private:
  struct Part {
    std::string text;
    bool is_name;
  };
  explicit AgentPathTemplate(std::vector<Part> parts) : parts_(std::move(parts)) {}

  std::vector<Part> parts_;
};

}  // namespace assay
