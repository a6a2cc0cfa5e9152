// SPDX-License-Identifier: GPL-3.0-or-later
// URI name constraints (RFC 5280 §4.2.1.10): "host.example" names that host alone, ".example" all
// hosts below it, and the empty constraint every host.
#pragma once

#include <string_view>

#include "base/status.h"
#include "crypto/certificate.h"

namespace assay::crypto {

// OK when the constraints let a certificate carry this URI. One without a host name cannot be
// judged and is refused.
absl::Status CheckUri(std::string_view uri, const NameConstraints& constraints);

}  // namespace assay::crypto
