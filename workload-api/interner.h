// SPDX-License-Identifier: GPL-3.0-or-later
// Texts that occur often (selectors, trust domains), each kept once and named by a small number for
// as long as somebody refers to it. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/slot_table.h"

namespace assay {

class Interner final {
 public:
  using Symbol = uint32_t;

  // The text's number, with one more reference to it.
  Symbol Acquire(std::string_view text);
  // Drops a reference; the last one forgets the text and frees its number.
  void Release(Symbol symbol);
  // Without a reference.
  std::optional<Symbol> Find(std::string_view text) const;
  // Valid until the symbol is released.
  std::string_view Text(Symbol symbol) const {
    return {texts_[symbol].bytes.get(), texts_[symbol].size};
  }
  // All symbols are smaller.
  size_t capacity() const { return texts_.size(); }

 private:
  struct Entry {
    std::unique_ptr<char[]> bytes;
    uint32_t size = 0;
    uint32_t references = 0;
  };

  std::vector<Entry> texts_;
  std::vector<Symbol> free_;
  SlotTable table_;
};

}  // namespace assay
