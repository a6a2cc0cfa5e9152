// SPDX-License-Identifier: GPL-3.0-or-later
// Random UUIDs (RFC 9562 §5.4), as entries and join tokens are called.
#pragma once

#include <string>

namespace assay {

// Such as "7fc53d0e-9d0e-4b9c-8c5e-3e4f5a6b7c8d".
std::string RandomUuid();

}  // namespace assay
