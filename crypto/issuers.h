// SPDX-License-Identifier: GPL-3.0-or-later
// Which certificates vouch for a leaf: those that lie on some valid path (crypto/path_validation.h)
// from it to an anchor.
#pragma once

#include <absl/time/time.h>

#include <vector>

#include "crypto/certificate.h"

namespace assay::crypto {

// The certificates above the leaf on all its valid paths, anchors included, each once. Empty when
// no path is valid. How much work a chain may make is bounded, for whoever shows a leaf chooses its
// intermediates.
std::vector<Certificate> FindIssuers(const Certificate& leaf,
                                     const std::vector<Certificate>& intermediates,
                                     const std::vector<Certificate>& anchors, absl::Time now);

}  // namespace assay::crypto
