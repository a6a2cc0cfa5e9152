// SPDX-License-Identifier: GPL-3.0-or-later
// The key templates of this project, as TPM2_CreatePrimary and TPM2_Create take them. A primary key
// is a function of its template and of the TPM's seed, so these bytes must not change: storage root
// keys are those spire-agent derives (TCG H-1 and H-2, empty unique), the endorsement key is the
// TCG EK Credential Profile's L-1.
#pragma once

#include <tss2/tss2_tpm2_types.h>

namespace assay::tpm {

TPM2B_PUBLIC RsaStorageTemplate();
TPM2B_PUBLIC EccStorageTemplate();
TPM2B_PUBLIC RsaEndorsementTemplate();
// Signing keys, exempt from dictionary-attack protection.
TPM2B_PUBLIC RsaSigningTemplate();      // RSASSA-SHA256
TPM2B_PUBLIC AnySchemeRsaTemplate();    // RSASSA and RSAPSS with any hash, as TLS 1.3 needs.
TPM2B_PUBLIC EccSigningTemplate();      // P-256, ECDSA-SHA256
TPM2B_PUBLIC EccP384SigningTemplate();  // ECDSA-SHA384
TPM2B_PUBLIC AkTemplate();

}  // namespace assay::tpm
