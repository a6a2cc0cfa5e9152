// SPDX-License-Identifier: GPL-3.0-or-later
// Blobs of keys in a file: of each key the public area, then the private one, each a TPM2B. Only
// the TPM that made them can use them, so the file needs no secrecy beyond its mode.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "tpm/tpm.h"

namespace assay::tpm {

// One key at least. NotFound when there is no file or no key in it, DataLoss when it is damaged.
absl::StatusOr<std::vector<KeyBlobs>> LoadKeyFile(const std::string& path);
// Replaces the file, mode 0600.
absl::Status SaveKeyFile(const std::string& path, const std::vector<KeyBlobs>& keys);

}  // namespace assay::tpm
