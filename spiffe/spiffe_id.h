// SPDX-License-Identifier: GPL-3.0-or-later
// A SPIFFE ID names a workload, or with an empty path its trust domain (SPIFFE-ID §2). Parsing
// never folds, decodes or normalises: what is not in the one valid form is refused.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "base/status.h"
#include "spiffe/trust_domain.h"

namespace assay {

class SpiffeId {
 public:
  static constexpr size_t kMaxBytes = 2048;

  // "spiffe://" trust domain, path; see SPIFFE-ID §2 for the alphabet.
  static absl::StatusOr<SpiffeId> Parse(std::string_view id);
  // From its parts, as SPIRE's API carries them; the path is empty or starts with '/'.
  static absl::StatusOr<SpiffeId> Create(const TrustDomain& trust_domain, std::string_view path);

  const TrustDomain& trust_domain() const { return trust_domain_; }
  const std::string& path() const { return path_; }
  std::string ToString() const { return trust_domain_.IdString() + path_; }
  bool is_trust_domain() const { return path_.empty(); }
  // Whether the path is /spire/agent/..., an agent's.
  bool is_agent() const { return path_.starts_with("/spire/agent/"); }

  auto operator<=>(const SpiffeId&) const = default;

 private:
  SpiffeId(TrustDomain trust_domain, std::string_view path)
      : trust_domain_(std::move(trust_domain)), path_(path) {}

  TrustDomain trust_domain_;
  std::string path_;
};

}  // namespace assay
