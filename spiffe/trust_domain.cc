// SPDX-License-Identifier: GPL-3.0-or-later
#include "spiffe/trust_domain.h"

namespace assay {
namespace {

constexpr size_t kMaxBytes = 255;
constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789.-_";

}  // namespace

absl::StatusOr<TrustDomain> TrustDomain::Parse(std::string_view name) {
  if (name.empty() || name.size() > kMaxBytes) {
    return InvalidArgument("trust domain has {} bytes, wanted 1 to {}", name.size(), kMaxBytes);
  }
  if (const size_t bad = name.find_first_not_of(kAllowed); bad != name.npos) {
    return InvalidArgument("trust domain {}: byte {} is none of a-z 0-9 . - _", Quoted(name), bad);
  }
  return TrustDomain(name);
}

}  // namespace assay
