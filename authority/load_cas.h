// SPDX-License-Identifier: GPL-3.0-or-later
// The CA certificates that an operator trusts for something, from the file that an option names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "crypto/certificate.h"

namespace assay {

// At least one. The error names the option and the file.
absl::StatusOr<std::vector<crypto::Certificate>> LoadCas(std::string_view option,
                                                         const std::string& path);

}  // namespace assay
