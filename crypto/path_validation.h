// SPDX-License-Identifier: GPL-3.0-or-later
// Certification path validation (RFC 5280 §6.1), ours, on certificates parsed one by one:
// signature, validity, basic constraints, path length, key usage and unknown critical extensions of
// every certificate, the anchor's validity included; URI name constraints are obeyed, other
// constraints refused. No revocation, no host names, any extended key usage.
#pragma once

#include <absl/time/time.h>

#include <string>
#include <vector>

#include "base/status.h"
#include "crypto/certificate.h"

namespace assay::crypto {

struct PathOptions {
  absl::Time now;
  // Critical extensions of the leaf, dotted, that the caller processes or may tolerate (a TPM's
  // endorsement certificate has a critical SAN).
  std::vector<std::string> tolerated_critical;
};

// The intermediates that an anchor signed, or another of these. A stranger may send any number of
// one name and with keys as slow as there are: only the anchors' keys are used on what no authority
// has vouched for.
std::vector<const Certificate*> VouchedFor(const std::vector<Certificate>& intermediates,
                                           const std::vector<Certificate>& anchors);

// OK when some path leads from leaf over zero to eight of intermediates to one of anchors. The
// words of the failure are those of the best candidate: "certificate signed by unknown authority",
// "certificate has expired ...".
absl::Status VerifyPath(const Certificate& leaf, const std::vector<Certificate>& intermediates,
                        const std::vector<Certificate>& anchors, const PathOptions& options);

}  // namespace assay::crypto
