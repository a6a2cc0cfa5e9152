// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/interner.h"

#include <cstring>

namespace assay {

std::optional<Interner::Symbol> Interner::Find(std::string_view text) const {
  return table_.Find(text, [this](Symbol symbol) { return Text(symbol); });
}

Interner::Symbol Interner::Acquire(std::string_view text) {
  if (const std::optional<Symbol> known = Find(text)) {
    ++texts_[*known].references;
    return *known;
  }
  Symbol symbol = static_cast<Symbol>(texts_.size());
  if (free_.empty()) {
    texts_.emplace_back();
  } else {
    symbol = free_.back();
    free_.pop_back();
  }
  Entry& entry = texts_[symbol];
  entry.bytes.reset(new char[text.size()]);
  std::memcpy(entry.bytes.get(), text.data(), text.size());
  entry.size = static_cast<uint32_t>(text.size());
  entry.references = 1;
  table_.Insert(symbol, Text(symbol));
  return symbol;
}

void Interner::Release(Symbol symbol) {
  Entry& entry = texts_[symbol];
  if (--entry.references > 0) {
    return;
  }
  table_.Erase(symbol, Text(symbol));
  entry = {};
  free_.push_back(symbol);
}

}  // namespace assay
