// SPDX-License-Identifier: GPL-3.0-or-later
// Whether an SVID that has just come is one that others will accept: its chain leads to the bundle
// of its trust domain, as X509-SVID §5 has them verify it.
#pragma once

#include <absl/time/time.h>

#include <vector>

#include "base/status.h"
#include "crypto/certificate.h"
#include "spiffe/trust_bundle.h"

namespace assay {

// Unavailable when it does not: a newer bundle may mend that. One that becomes valid in a moment is
// judged by that moment.
absl::Status CheckTrusted(const std::vector<crypto::Certificate>& chain, const TrustBundle& bundle,
                          absl::Time now);

}  // namespace assay
