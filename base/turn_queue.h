// SPDX-License-Identifier: GPL-3.0-or-later
// A queue of numbers that belong to owners, who take turns: whoever has many waits in it no shorter
// than whoever has one. An owner's own are in order. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

namespace assay {

template <typename Owner>
class TurnQueue final {
 public:
  // Numbers are the queue's own among all owners, and grow as they come.
  void Push(const Owner& owner, uint64_t number) {
    const auto [at, is_new] = owners_.try_emplace(owner);
    at->second.numbers.insert(number);
    if (is_new) {
      TakeTurn(at);
    }
  }
  // One that is not there is ignored.
  void Remove(const Owner& owner, uint64_t number) {
    const auto at = owners_.find(owner);
    if (at == owners_.end() || at->second.numbers.erase(number) == 0) {
      return;
    }
    if (at->second.numbers.empty()) {
      turns_.erase(at->second.turn);
      owners_.erase(at);
    }
  }
  // Whose turn it is; nothing when all is empty.
  std::optional<uint64_t> Front() const {
    return turns_.empty() ? std::nullopt
                          : std::optional(*turns_.begin()->second->second.numbers.begin());
  }
  // Removes it, and its owner goes to the end.
  void Pop() {
    const auto at = turns_.begin()->second;
    turns_.erase(turns_.begin());
    at->second.numbers.erase(at->second.numbers.begin());
    if (at->second.numbers.empty()) {
      owners_.erase(at);
    } else {
      TakeTurn(at);
    }
  }
  bool empty() const { return turns_.empty(); }
  size_t CountOf(const Owner& owner) const {
    const auto at = owners_.find(owner);
    return at == owners_.end() ? 0 : at->second.numbers.size();
  }

 private:
  struct Waiting {
    std::set<uint64_t> numbers;
    uint64_t turn = 0;
  };
  using Owners = std::map<Owner, Waiting>;

  void TakeTurn(typename Owners::iterator at) {
    at->second.turn = ++last_turn_;
    turns_.emplace(last_turn_, at);
  }

  Owners owners_;  // Those that have any.
  std::map<uint64_t, typename Owners::iterator> turns_;
  uint64_t last_turn_ = 0;
};

}  // namespace assay
