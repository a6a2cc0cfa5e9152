// SPDX-License-Identifier: GPL-3.0-or-later
// The two steps of issuing: which extensions a certificate gets, and the signed DER of a
// certificate with given extensions. IssueCertificate is the first, then the second.
#pragma once

#include <absl/time/time.h>

#include <string>
#include <vector>

#include "base/status.h"
#include "crypto/extensions.h"
#include "crypto/issue.h"

namespace assay::crypto {

// In the order in which the reference server writes them; issuer is null for a self-signed one.
absl::StatusOr<std::vector<Extension>> ExtensionsFor(const CertificateTemplate& what,
                                                     const PublicKey& subject_key,
                                                     const Certificate* issuer);

struct CertificateParts {
  std::string serial;           // Big-endian bytes.
  std::string issuer, subject;  // DER of the names.
  absl::Time not_before, not_after;
  std::vector<Extension> extensions;
};

absl::StatusOr<std::string> SignCertificate(const CertificateParts& parts,
                                            const PublicKey& subject_key, const Signer& issuer_key);

}  // namespace assay::crypto
