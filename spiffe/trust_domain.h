// SPDX-License-Identifier: GPL-3.0-or-later
// A trust domain is the root of trust that a SPIFFE ID belongs to, such as example.org
// (SPIFFE-ID §2.1, §2.3). Two are the same when their names are the same bytes.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "base/status.h"

namespace assay {

class TrustDomain {
 public:
  // Accepts 1 to 255 of a-z, 0-9, '.', '-', '_'; anything else is InvalidArgument.
  static absl::StatusOr<TrustDomain> Parse(std::string_view name);

  const std::string& name() const { return name_; }
  // The SPIFFE ID of the trust domain itself: "spiffe://example.org".
  std::string IdString() const { return "spiffe://" + name_; }

  auto operator<=>(const TrustDomain&) const = default;

 private:
  explicit TrustDomain(std::string_view name) : name_(name) {}

  std::string name_;
};

}  // namespace assay
