// SPDX-License-Identifier: GPL-3.0-or-later
// A hash table of slot numbers, for records that live elsewhere and know their own keys: four bytes
// a place, linear probing, no tombstones. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace assay {

class SlotTable final {
 public:
  static size_t HashOf(std::string_view key) { return std::hash<std::string_view>()(key); }

  // key_of(slot) gives a record's key.
  template <typename KeyOf>
  std::optional<uint32_t> Find(std::string_view key, KeyOf key_of) const {
    if (places_.empty()) {
      return std::nullopt;
    }
    for (size_t at = HashOf(key) & mask();; at = (at + 1) & mask()) {
      if (places_[at] == kEmpty) {
        return std::nullopt;
      }
      if (key_of(places_[at]) == key) {
        return places_[at];
      }
    }
  }

  // The key must not be there yet.
  template <typename KeyOf>
  void Insert(uint32_t slot, KeyOf key_of) {
    if (4 * (used_ + 1) > 3 * places_.size()) {
      Grow(key_of);
    }
    Place(slot, HashOf(key_of(slot)));
    ++used_;
  }

  // The key must be there, and key_of must still know it.
  template <typename KeyOf>
  void Erase(uint32_t slot, KeyOf key_of) {
    size_t hole = HashOf(key_of(slot)) & mask();
    while (places_[hole] != slot) {
      hole = (hole + 1) & mask();
    }
    // What follows moves back when the hole lies between its home and where it is.
    for (size_t at = (hole + 1) & mask(); places_[at] != kEmpty; at = (at + 1) & mask()) {
      const size_t home = HashOf(key_of(places_[at])) & mask();
      if (((at - home) & mask()) >= ((at - hole) & mask())) {
        places_[hole] = places_[at];
        hole = at;
      }
    }
    places_[hole] = kEmpty;
    --used_;
  }

 private:
  static constexpr uint32_t kEmpty = UINT32_MAX;
  static constexpr size_t kFirstPlaces = 16;

  size_t mask() const { return places_.size() - 1; }

  void Place(uint32_t slot, size_t hash) {
    size_t at = hash & mask();
    while (places_[at] != kEmpty) {
      at = (at + 1) & mask();
    }
    places_[at] = slot;
  }

  template <typename KeyOf>
  void Grow(KeyOf key_of) {
    std::vector<uint32_t> old(places_.empty() ? kFirstPlaces : 2 * places_.size(), kEmpty);
    old.swap(places_);
    for (uint32_t slot : old) {
      if (slot != kEmpty) {
        Place(slot, HashOf(key_of(slot)));
      }
    }
  }

  std::vector<uint32_t> places_;  // A power of two of them, at most three quarters used.
  size_t used_ = 0;
};

}  // namespace assay
