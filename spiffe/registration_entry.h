// SPDX-License-Identifier: GPL-3.0-or-later
// A registration entry grants a SPIFFE ID to whatever has all its selectors, under a parent: an
// agent, a node alias, or another entry's ID.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "spiffe/selector.h"
#include "spiffe/spiffe_id.h"

namespace assay {

struct RegistrationEntry {
  static constexpr size_t kMaxHintBytes = 1024;
  static constexpr size_t kMaxIdBytes = 255;

  std::string id;  // [-._0-9A-Za-z], up to 255; a UUID unless the operator chose.
  SpiffeId spiffe_id;
  std::optional<SpiffeId> parent_id;  // Unknown to an agent, which does not ask for it.
  std::vector<Selector> selectors;    // Normalized, at least one.
  std::vector<TrustDomain> federates_with;
  std::vector<std::string> dns_names;
  std::string hint;
  int32_t x509_svid_ttl = 0;  // Seconds; 0: the authority's default.
  int32_t jwt_svid_ttl = 0;   // Seconds; 0: the authority's default.
  int64_t expires_at = 0;     // Unix seconds; 0: never.
  int64_t created_at = 0;     // Unix seconds.
  int64_t revision_number = 0;
  bool admin = false;
  bool downstream = false;
  bool store_svid = false;
  bool disable_x509_svid_prefetch = false;
  bool jwt_svid_include_jti = false;
};

// The rules that bind an entry whoever made it, each failure naming its field.
absl::Status Validate(const RegistrationEntry& entry);
// DNS name rules of the server API: ASCII letters-digits-hyphen labels, no trailing dot, at most
// one leading "*.".
absl::Status ValidateDnsName(std::string_view name);

}  // namespace assay
