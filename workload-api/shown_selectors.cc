// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/shown_selectors.h"

#include <fmt/format.h>

#include <set>

namespace assay {

std::string ShownSelectors::Of(const std::vector<Selector>& selectors) const {
  std::set<std::string> shown;
  for (const Selector& selector : selectors) {
    const std::string text = selector.type + ":" + selector.value;
    for (const std::string& prefix : prefixes_) {
      if (text == prefix || text.starts_with(prefix + ":")) {
        shown.insert(text);
      }
    }
  }
  return fmt::format("{}", fmt::join(shown, ","));
}

}  // namespace assay
