// SPDX-License-Identifier: GPL-3.0-or-later
// What this agent calls itself, to the operator and to the upstream.
#pragma once

#include <string_view>

namespace assay {

constexpr std::string_view kVersion = "0.1.0";

}  // namespace assay
