// SPDX-License-Identifier: GPL-3.0-or-later
// Which of a caller's selectors the log may show: those that the operator wants to see.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "spiffe/selector.h"

namespace assay {

class ShownSelectors final {
 public:
  // Selectors that are one of these, or begin with one and a colon: "unix:uid", "k8s".
  void Set(std::vector<std::string> prefixes) { prefixes_ = std::move(prefixes); }
  // "unix:gid:0,unix:uid:0": those of them that may be shown.
  std::string Of(const std::vector<Selector>& selectors) const;

 private:
  std::vector<std::string> prefixes_;
};

}  // namespace assay
