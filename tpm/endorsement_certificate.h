// SPDX-License-Identifier: GPL-3.0-or-later
// The endorsement certificate, which the TPM's manufacturer left in its NV memory (TCG EK
// Credential Profile §2.2.1), often in an index that is larger than the certificate.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "tpm/esys.h"

namespace assay::tpm {

// All bytes of an NV index that may be read with its own, empty password.
absl::StatusOr<std::string> ReadNv(Esys& esys, ESYS_TR index);

// The one DER element at the start of bytes. FailedPrecondition when there is none.
absl::StatusOr<std::string> CutToCertificate(std::string_view bytes);

}  // namespace assay::tpm
