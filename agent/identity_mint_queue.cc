// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_mint_queue.h"

#include <algorithm>
#include <tuple>

namespace assay {

std::optional<MintQueue::Number> MintQueue::Find(const JwtSvidKey& key, uint64_t request) const {
  const auto at = wishes_.find({key, request});
  return at == wishes_.end() ? std::nullopt : std::optional(at->second);
}

MintQueue::Number MintQueue::Add(PendingMint pending) {
  const Number number = ++last_number_;
  const std::string& entry_id = pending.key.entry_id;
  wishes_[{pending.key, pending.request}] = number;
  // An entry that comes anew goes behind those that wait, and before the one that went last.
  Turn& turn =
      turns_.try_emplace(entry_id, Turn{.last = last_turn_ - std::min<uint64_t>(last_turn_, 1)})
          .first->second;
  ++turn.pending;
  if (!pending.replaces) {
    places_.Add(entry_id, number);
  }
  pending_.emplace(number, Held{std::move(pending), &turn});
  return number;
}

void MintQueue::Remove(Number number) {
  const auto at = pending_.find(number);
  const JwtSvidKey& key = at->second.mint.key;
  if (--at->second.turn->pending == 0) {
    turns_.erase(key.entry_id);
  }
  places_.Remove(key.entry_id, number);
  wishes_.erase({key, at->second.mint.request});
  pending_.erase(at);
}

std::vector<MintQueue::Number> MintQueue::OfEntry(std::string_view entry_id) const {
  std::vector<Number> numbers;
  for (auto at = wishes_.lower_bound({{.entry_id = std::string(entry_id), .audience = {}}, 0});
       at != wishes_.end() && at->first.first.entry_id == entry_id; ++at) {
    numbers.push_back(at->second);
  }
  return numbers;
}

std::vector<MintQueue::Number> MintQueue::All() const {
  std::vector<Number> numbers;
  for (const auto& [number, held] : pending_) {
    numbers.push_back(number);
  }
  return numbers;
}

std::optional<MintQueue::Number> MintQueue::Next(absl::Duration now, Replacing replacing) const {
  // Lower is sooner: may it begin, is it of the kind that goes first; then the turn, or the time.
  using Order = std::tuple<bool, bool, absl::Duration, uint64_t>;
  std::optional<Number> next;
  Order best;
  for (const auto& [number, held] : pending_) {
    const PendingMint& pending = held.mint;
    if (pending.away || (!pending.waiting && replacing == Replacing::kNone)) {
      continue;
    }
    const bool is_ready = pending.ready_at <= now;
    const Order order{!is_ready, is_ready && pending.waiting == (replacing == Replacing::kFirst),
                      is_ready ? absl::ZeroDuration() : pending.ready_at, held.turn->last};
    if (!next.has_value() || order < best) {
      next = number;
      best = order;
    }
  }
  return next;
}

void MintQueue::Begin(Number number) {
  const auto& [mint, turn] = pending_.at(number);
  At(number).away = true;
  turn->last = last_turn_ += 2;
  places_.Remove(mint.key.entry_id, number);
}

void MintQueue::End(Number number) {
  PendingMint& pending = At(number);
  pending.away = false;
  if (!pending.replaces) {
    places_.Add(pending.key.entry_id, number);
  }
}

void MintQueue::TakePlace(Number number) {
  PendingMint& pending = At(number);
  pending.replaces = false;
  if (!pending.away) {
    places_.Add(pending.key.entry_id, number);
  }
}

}  // namespace assay
