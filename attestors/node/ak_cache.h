// SPDX-License-Identifier: GPL-3.0-or-later
// The attestation key's blobs on disk: the public area, then the private one, each a TPM2B. Only
// the TPM that made them can use them, so the file needs no secrecy beyond its mode.
#pragma once

#include <string>

#include "base/status.h"
#include "tpm/tpm.h"

namespace assay {

// NotFound when there is no file, DataLoss when it is damaged.
absl::StatusOr<tpm::KeyBlobs> LoadAk(const std::string& path);
// Replaces the file, mode 0600.
absl::Status SaveAk(const std::string& path, const tpm::KeyBlobs& ak);

}  // namespace assay
