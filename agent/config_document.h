// SPDX-License-Identifier: GPL-3.0-or-later
// docs/configuration.md, made from the tables that the configuration is read by.
#pragma once

#include <string>

namespace assay {

// The document, in Markdown.
std::string ConfigDocument();

}  // namespace assay
