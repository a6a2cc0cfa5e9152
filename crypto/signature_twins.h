// SPDX-License-Identifier: GPL-3.0-or-later
// ECDSA's signatures come in pairs: whoever sees (r, s) can make (r, n - s), which is one of the
// same message by the same key (SEC 1 §4.1). So a certificate that an authority signed has a twin
// of the same contents with other bytes, and with another digest.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crypto/certificate.h"
#include "crypto/ssh_certificate.h"

namespace assay::crypto {

// n - s for each curve that s may be of, which s does not say; big-endian, as s is.
std::vector<std::string> OtherHalves(std::string_view s);

// What the twins of a certificate with a valid signature may be: its DER, its wire form. None when
// the signature is no ECDSA's.
std::vector<std::string> TwinsOf(const Certificate& certificate);
std::vector<std::string> TwinsOf(const SshCertificate& certificate);

}  // namespace assay::crypto
