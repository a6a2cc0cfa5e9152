// SPDX-License-Identifier: GPL-3.0-or-later
// A hash table of slot numbers, for records that live elsewhere and know their own keys: eight
// bytes a place, linear probing, no tombstones. Keeps a hash beside each slot, so that a search
// looks at no record but the one it finds. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace assay {

class SlotTable final {
 public:
  // key_of(slot) gives a record's key.
  template <typename KeyOf>
  std::optional<uint32_t> Find(std::string_view key, KeyOf key_of) const {
    if (places_.empty()) {
      return std::nullopt;
    }
    const uint32_t hash = HashOf(key);
    for (size_t at = hash & mask();; at = (at + 1) & mask()) {
      if (places_[at].slot == kEmpty) {
        return std::nullopt;
      }
      if (places_[at].hash == hash && key_of(places_[at].slot) == key) {
        return places_[at].slot;
      }
    }
  }

  // The key must not be there yet.
  void Insert(uint32_t slot, std::string_view key) {
    if (4 * (size_ + 1) > 3 * places_.size()) {
      Grow();
    }
    Put({slot, HashOf(key)});
    ++size_;
  }

  // The slot must be there, by this key.
  void Erase(uint32_t slot, std::string_view key) {
    size_t hole = HashOf(key) & mask();
    while (places_[hole].slot != slot) {
      hole = (hole + 1) & mask();
    }
    // What follows moves back when the hole lies between its home and where it is.
    for (size_t at = (hole + 1) & mask(); places_[at].slot != kEmpty; at = (at + 1) & mask()) {
      const size_t home = places_[at].hash & mask();
      if (((at - home) & mask()) >= ((at - hole) & mask())) {
        places_[hole] = places_[at];
        hole = at;
      }
    }
    places_[hole] = {};
    --size_;
  }

  size_t size() const { return size_; }

 private:
  static constexpr uint32_t kEmpty = UINT32_MAX;
  static constexpr size_t kFirstPlaces = 16;

  struct Place {
    uint32_t slot = kEmpty;
    uint32_t hash = 0;
  };

  static uint32_t HashOf(std::string_view key) {
    return static_cast<uint32_t>(std::hash<std::string_view>()(key));
  }
  size_t mask() const { return places_.size() - 1; }

  void Put(Place place) {
    size_t at = place.hash & mask();
    while (places_[at].slot != kEmpty) {
      at = (at + 1) & mask();
    }
    places_[at] = place;
  }

  void Grow() {
    std::vector<Place> old(places_.empty() ? kFirstPlaces : 2 * places_.size());
    old.swap(places_);
    for (const Place& place : old) {
      if (place.slot != kEmpty) {
        Put(place);
      }
    }
  }

  std::vector<Place> places_;  // A power of two of them, at most three quarters used.
  size_t size_ = 0;
};

}  // namespace assay
