// SPDX-License-Identifier: GPL-3.0-or-later
// A configuration's values written as HCL 1 again, for programs that read a part of it themselves.
#pragma once

#include <string>

#include "base/hcl.h"

namespace assay {

// The members of an object, one a line; empty when it has none. Whoever parses the text gets the
// same tree, but for places.
std::string PrintHcl(const ConfigValue& object);

}  // namespace assay
