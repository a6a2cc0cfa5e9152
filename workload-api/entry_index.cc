// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/entry_index.h"

#include <algorithm>
#include <cstring>

namespace assay {
namespace {

constexpr size_t kMaxPart = UINT16_MAX;

absl::Status CheckSizes(const EntryIndex::Entry& entry) {
  for (size_t size : {entry.id.size(), entry.spiffe_id.size(), entry.hint.size(),
                      entry.selectors.size(), entry.federates_with.size()}) {
    if (size > kMaxPart) {
      return InvalidArgument("entry {} has a part of {} bytes or elements, {} are allowed",
                             Quoted(entry.id), size, kMaxPart);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<EntryIndex::Slot> EntryIndex::Put(const Entry& entry) {
  RETURN_IF_ERROR(CheckSizes(entry));
  Slot slot = 0;
  if (const std::optional<Slot> known = Find(entry.id)) {
    slot = *known;
    Clear(slot);
  } else if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else {
    slot = static_cast<Slot>(records_.size());
    records_.emplace_back();
    listed_under_.push_back(kNone);
  }
  Fill(records_[slot], entry);
  by_id_.Insert(slot, IdOf(slot));
  Link(slot);
  return slot;
}

std::optional<EntryIndex::Slot> EntryIndex::Remove(std::string_view id) {
  const std::optional<Slot> slot = Find(id);
  if (slot.has_value()) {
    Clear(*slot);
    free_.push_back(*slot);
  }
  return slot;
}

std::optional<EntryIndex::Slot> EntryIndex::Find(std::string_view id) const {
  return by_id_.Find(id, [this](Slot of) { return IdOf(of); });
}

EntryIndex::View EntryIndex::Get(Slot slot) const {
  const Record& record = records_[slot];
  const std::string_view text = TextOf(record);
  return {.id = text.substr(0, record.id_size),
          .spiffe_id = text.substr(record.id_size, record.spiffe_id_size),
          .hint = text.substr(size_t{record.id_size} + record.spiffe_id_size, record.hint_size),
          .created_at = record.created_at,
          .store_svid = record.store_svid,
          .jwt_svid_include_jti = record.jwt_svid_include_jti,
          .privileged = record.privileged};
}

std::vector<std::string_view> EntryIndex::FederatesWith(Slot slot) const {
  const Record& record = records_[slot];
  std::vector<std::string_view> names;
  for (size_t i = 0; i < record.federates_with; ++i) {
    names.push_back(trust_domains_.Text(record.block[record.selectors + i]));
  }
  return names;
}

std::vector<EntryIndex::Slot> EntryIndex::Match(std::span<const Selector> selectors) const {
  std::vector<Symbol> symbols;
  for (const Selector& selector : selectors) {
    if (const std::optional<Symbol> symbol = selectors_.Find(selector.ToString())) {
      symbols.push_back(*symbol);
    }
  }
  std::sort(symbols.begin(), symbols.end());
  symbols.erase(std::unique(symbols.begin(), symbols.end()), symbols.end());
  std::vector<Slot> matching;
  for (Symbol symbol : symbols) {
    for (Slot slot = postings_[symbol].first; slot != kNone; slot = records_[slot].next) {
      const std::span<const Symbol> needed = SelectorsOf(records_[slot]);
      if (std::includes(symbols.begin(), symbols.end(), needed.begin(), needed.end())) {
        matching.push_back(slot);
      }
    }
  }
  std::sort(matching.begin(), matching.end(), [this](Slot a, Slot b) { return IdOf(a) < IdOf(b); });
  return matching;
}

EntryIndex::Held EntryIndex::HeldOf(std::span<const Selector> selectors) const {
  Held held;
  held.symbols_.resize(selectors_.capacity());
  for (const Selector& selector : selectors) {
    if (const std::optional<Symbol> symbol = selectors_.Find(selector.ToString())) {
      held.symbols_[*symbol] = true;
    }
  }
  return held;
}

std::optional<EntryIndex::Comparison> EntryIndex::Compare(Slot slot, const Held& held) const {
  const std::span<const Symbol> needed = SelectorsOf(records_[slot]);
  if (needed.empty()) {
    return std::nullopt;
  }
  Comparison comparison;
  for (const Symbol symbol : needed) {
    ++(held.symbols_[symbol] ? comparison.held : comparison.missing);
  }
  return comparison;
}

std::vector<std::string> EntryIndex::Missing(Slot slot, const Held& held, size_t most) const {
  std::vector<std::string> missing;
  for (const Symbol symbol : SelectorsOf(records_[slot])) {
    if (!held.symbols_[symbol]) {
      missing.emplace_back(selectors_.Text(symbol));
    }
  }
  std::sort(missing.begin(), missing.end());
  missing.resize(std::min(missing.size(), most));
  return missing;
}

std::span<const EntryIndex::Symbol> EntryIndex::SelectorsOf(const Record& record) const {
  return {record.block.get(), record.selectors};
}

std::string_view EntryIndex::TextOf(const Record& record) const {
  const size_t symbols = size_t{record.selectors} + record.federates_with;
  return {reinterpret_cast<const char*>(record.block.get() + symbols),
          size_t{record.id_size} + record.spiffe_id_size + record.hint_size};
}

std::string_view EntryIndex::IdOf(Slot slot) const {
  return TextOf(records_[slot]).substr(0, records_[slot].id_size);
}

void EntryIndex::Fill(Record& record, const Entry& entry) {
  std::vector<Symbol> symbols;
  for (const Selector& selector : entry.selectors) {
    const std::string text = selector.ToString();
    const std::optional<Symbol> known = selectors_.Find(text);
    if (known.has_value() && std::find(symbols.begin(), symbols.end(), *known) != symbols.end()) {
      continue;  // Written twice in the entry.
    }
    symbols.push_back(selectors_.Acquire(text));
  }
  std::sort(symbols.begin(), symbols.end());
  record.selectors = static_cast<uint16_t>(symbols.size());
  for (const std::string& name : entry.federates_with) {
    symbols.push_back(trust_domains_.Acquire(name));
  }
  record.federates_with = static_cast<uint16_t>(entry.federates_with.size());
  record.id_size = static_cast<uint16_t>(entry.id.size());
  record.spiffe_id_size = static_cast<uint16_t>(entry.spiffe_id.size());
  record.hint_size = static_cast<uint16_t>(entry.hint.size());
  record.created_at = entry.created_at;
  record.store_svid = entry.store_svid;
  record.jwt_svid_include_jti = entry.jwt_svid_include_jti;
  record.privileged = entry.privileged;

  const size_t text_size = entry.id.size() + entry.spiffe_id.size() + entry.hint.size();
  record.block.reset(
      new uint32_t[symbols.size() + (text_size + sizeof(uint32_t) - 1) / sizeof(uint32_t)]);
  std::copy(symbols.begin(), symbols.end(), record.block.get());
  char* text = reinterpret_cast<char*>(record.block.get() + symbols.size());
  for (std::string_view part : {entry.id, entry.spiffe_id, entry.hint}) {
    text = std::copy(part.begin(), part.end(), text);
  }
}

void EntryIndex::Link(Slot slot) {
  postings_.resize(std::max(postings_.size(), selectors_.capacity()));
  const std::span<const Symbol> symbols = SelectorsOf(records_[slot]);
  if (symbols.empty()) {
    return;
  }
  const Symbol rarest = *std::min_element(
      symbols.begin(), symbols.end(),
      [this](Symbol a, Symbol b) { return postings_[a].count < postings_[b].count; });
  listed_under_[slot] = rarest;
  records_[slot].next = postings_[rarest].first;
  postings_[rarest].first = slot;
  ++postings_[rarest].count;
}

void EntryIndex::Unlink(Slot slot) {
  if (listed_under_[slot] == kNone) {
    return;
  }
  Posting& posting = postings_[listed_under_[slot]];
  uint32_t* link = &posting.first;
  while (*link != slot) {
    link = &records_[*link].next;
  }
  *link = records_[slot].next;
  --posting.count;
  listed_under_[slot] = kNone;
}

void EntryIndex::Clear(Slot slot) {
  Unlink(slot);
  by_id_.Erase(slot, IdOf(slot));
  Record& record = records_[slot];
  for (Symbol symbol : SelectorsOf(record)) {
    selectors_.Release(symbol);
  }
  for (size_t i = 0; i < record.federates_with; ++i) {
    trust_domains_.Release(record.block[record.selectors + i]);
  }
  record = {};
}

}  // namespace assay
