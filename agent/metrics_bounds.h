// SPDX-License-Identifier: GPL-3.0-or-later
// The bounds of the histogram metrics::kFirstSvid, in seconds: serve counts by them, identity
// tells.
#pragma once

#include <array>

namespace assay {

constexpr std::array<double, 12> kFirstSvidBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                     0.1,   0.25,   0.5,   1,    5,     30};

}  // namespace assay
