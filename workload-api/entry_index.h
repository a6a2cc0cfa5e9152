// SPDX-License-Identifier: GPL-3.0-or-later
// The registration entries that this node may serve, found by the selectors of a caller. Made for
// 100,000 of them: selectors and trust domains are kept once, the texts of an entry in one block,
// and each entry is listed under the rarest of its selectors, so that matching looks at few. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/slot_table.h"
#include "base/status.h"
#include "spiffe/selector.h"
#include "workload-api/interner.h"

namespace assay {

class EntryIndex final {
 public:
  // Names an entry while it is here; numbers of removed entries are used again.
  using Slot = uint32_t;

  struct Entry {
    std::string_view id;
    std::string_view spiffe_id;
    std::string_view hint;
    int64_t created_at = 0;
    bool store_svid = false;  // For a store of SVIDs, never for a caller.
    bool jwt_svid_include_jti = false;
    bool privileged = false;  // An admin's or a downstream server's: for no delegate.
    std::span<const Selector> selectors;
    std::span<const std::string> federates_with;  // Trust domain names.
  };

  // What the index keeps; valid until the entry is replaced or removed.
  struct View {
    std::string_view id;
    std::string_view spiffe_id;
    std::string_view hint;
    int64_t created_at = 0;
    bool store_svid = false;
    bool jwt_svid_include_jti = false;
    bool privileged = false;
  };

  EntryIndex() = default;
  EntryIndex(const EntryIndex&) = delete;
  EntryIndex& operator=(const EntryIndex&) = delete;

  // Adds the entry, or replaces the one of its id, which keeps its slot. InvalidArgument when its
  // parts are longer or more than an entry may have.
  absl::StatusOr<Slot> Put(const Entry& entry);
  // The slot that it had, now free.
  std::optional<Slot> Remove(std::string_view id);
  std::optional<Slot> Find(std::string_view id) const;

  View Get(Slot slot) const;
  std::vector<std::string_view> FederatesWith(Slot slot) const;
  size_t size() const { return records_.size() - free_.size(); }

  // The entries all of whose selectors are among these, sorted by id. One without selectors is
  // nobody's.
  std::vector<Slot> Match(std::span<const Selector> selectors) const;

  // Which selectors somebody has, to hold many entries against; valid until the entries change.
  class Held {
   private:
    friend class EntryIndex;
    std::vector<bool> symbols_;  // By symbol of a selector.
  };
  Held HeldOf(std::span<const Selector> selectors) const;
  struct Comparison {
    size_t held = 0;  // Selectors of the entry's,
    size_t missing = 0;
  };
  // Nothing: there is no entry in the slot, or one without selectors, which is nobody's.
  std::optional<Comparison> Compare(Slot slot, const Held& held) const;
  // The entry's selectors that are not held, at most so many, as "type:value", sorted.
  std::vector<std::string> Missing(Slot slot, const Held& held, size_t most) const;
  // All slots are smaller.
  Slot end() const { return static_cast<Slot>(records_.size()); }

 private:
  using Symbol = Interner::Symbol;
  static constexpr uint32_t kNone = UINT32_MAX;

  // One block: symbols of the selectors (sorted), symbols of the federated trust domains, then the
  // bytes of id, SPIFFE ID and hint.
  struct Record {
    std::unique_ptr<uint32_t[]> block;
    int64_t created_at = 0;
    uint16_t selectors = 0;
    uint16_t federates_with = 0;
    uint16_t id_size = 0;
    uint16_t spiffe_id_size = 0;
    uint16_t hint_size = 0;
    bool store_svid = false;
    bool jwt_svid_include_jti = false;
    bool privileged = false;
    uint32_t next = kNone;  // In the list of its rarest selector.
  };
  struct Posting {
    uint32_t first = kNone;
    uint32_t count = 0;
  };

  std::span<const Symbol> SelectorsOf(const Record& record) const;
  std::string_view TextOf(const Record& record) const;
  std::string_view IdOf(Slot slot) const;
  void Fill(Record& record, const Entry& entry);
  void Link(Slot slot);
  void Unlink(Slot slot);
  // Takes the record out of everything and empties it.
  void Clear(Slot slot);

  Interner selectors_;
  Interner trust_domains_;
  std::vector<Record> records_;
  std::vector<Symbol> listed_under_;  // By slot: the selector that was the rarest then.
  std::vector<Slot> free_;
  std::vector<Posting> postings_;  // By selector symbol.
  SlotTable by_id_;
};

}  // namespace assay
