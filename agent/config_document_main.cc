// SPDX-License-Identifier: GPL-3.0-or-later
// Writes docs/configuration.md to standard output, for scripts/configuration.sh.
#include <iostream>

#include "agent/config_document.h"

int main() {
  std::cout << assay::ConfigDocument();
  return 0;
}
