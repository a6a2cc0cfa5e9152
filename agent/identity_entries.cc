// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_entries.h"

#include <utility>

#include "assay/roles.pb.h"
#include "base/log.h"

namespace assay {
namespace {

constexpr absl::Duration kPatienceWithOlder = absl::Minutes(10);

roles::Entry Parsed(const StoredEntry& entry) {
  roles::Entry message;
  const std::string_view bytes = entry.message();
  message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  return message;
}

StoredEntry Compact(const RegistrationEntry& entry) {
  roles::Entry message;
  message.set_id(entry.id);
  message.set_spiffe_id(entry.spiffe_id.ToString());
  for (const Selector& selector : entry.selectors) {
    roles::Selector& added = *message.add_selectors();
    added.set_type(selector.type);
    added.set_value(selector.value);
  }
  for (const TrustDomain& domain : entry.federates_with) {
    message.add_federates_with(domain.name());
  }
  message.set_hint(entry.hint);
  message.set_created_at(entry.created_at);
  message.set_store_svid(entry.store_svid);
  message.set_jwt_svid_include_jti(entry.jwt_svid_include_jti);
  message.set_privileged(entry.admin || entry.downstream);
  std::string bytes = entry.id;
  message.AppendToString(&bytes);
  bytes.shrink_to_fit();
  return {.bytes = std::move(bytes),
          .id_size = static_cast<uint8_t>(entry.id.size()),
          .wants_prefetch = !entry.store_svid && !entry.disable_x509_svid_prefetch,
          .for_store = entry.store_svid,
          .jwt_svid_include_jti = entry.jwt_svid_include_jti,
          .revision_number = entry.revision_number,
          .created_at = entry.created_at};
}

}  // namespace

std::string SpiffeIdOf(const StoredEntry& entry) { return Parsed(entry).spiffe_id(); }

const StoredEntry* EntryStore::Find(std::string_view id) const {
  const std::optional<uint32_t> place = PlaceOf(id);
  return place.has_value() ? &slots_[*place] : nullptr;
}

std::optional<uint32_t> EntryStore::PlaceOf(std::string_view id) const {
  return index_.Find(id, [this](uint32_t place) { return slots_[place].id(); });
}

uint32_t EntryStore::NewSlot() {
  if (!free_.empty()) {
    const uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  slots_.emplace_back();
  return static_cast<uint32_t>(slots_.size() - 1);
}

void EntryStore::CountDomains(const StoredEntry& entry, int by) {
  const roles::Entry message = Parsed(entry);
  for (const std::string& domain : message.federates_with()) {
    if ((domains_[domain] += by) <= 0) {
      domains_.erase(domain);
    }
  }
}

EntryStore::Changes EntryStore::Apply(SyncPass& pass) {
  Changes changes;
  for (uint32_t place = 0; place < pass.seen_.size(); ++place) {
    StoredEntry& slot = slots_[place];
    if (pass.seen_[place] || slot.bytes.empty()) {
      continue;
    }
    CountDomains(slot, -1);
    changes.removed.emplace_back(slot.id());
    for_stores_.erase(changes.removed.back());
    index_.Erase(place, slot.id());
    slot = StoredEntry();
    free_.push_back(place);
  }
  for (StoredEntry& fresh : pass.fresh_) {
    Put(std::move(fresh), changes);
  }
  pass.fresh_.clear();
  std::erase_if(older_since_,
                [&](const auto& older) { return !pass.older_.contains(older.first); });
  for (const std::string& id : pass.older_) {
    if (older_since_.try_emplace(id, pass.now_).second) {
      log::Warn("The upstream's entry is older than the one here, which is kept",
                {{"entry_id", id}, {"known_revision", Find(id)->revision_number}});
    }
  }
  return changes;
}

void EntryStore::Put(StoredEntry fresh, Changes& changes) {
  CountDomains(fresh, +1);
  if (fresh.for_store) {
    for_stores_.emplace(fresh.id());
  } else if (const auto at = for_stores_.find(fresh.id()); at != for_stores_.end()) {
    for_stores_.erase(at);
  }
  const std::optional<uint32_t> known = PlaceOf(fresh.id());
  if (!known.has_value()) {
    changes.created.emplace_back(fresh.id());
    const uint32_t place = NewSlot();
    slots_[place] = std::move(fresh);
    index_.Insert(place, slots_[place].id());
    return;
  }
  StoredEntry& slot = slots_[*known];
  CountDomains(slot, -1);
  // A full answer repeats what has not changed.
  if (slot.revision_number != fresh.revision_number || slot.bytes != fresh.bytes) {
    changes.updated.push_back({std::string(fresh.id()), SpiffeIdOf(slot) != SpiffeIdOf(fresh) ||
                                                            slot.for_store != fresh.for_store});
  }
  slot = std::move(fresh);
}

std::vector<std::string> EntryStore::FederatedDomains() const {
  std::vector<std::string> names;
  for (const auto& [name, count] : domains_) {
    names.push_back(name);
  }
  return names;
}

// Some upstreams name their entries in the same order each time: while one does, the one after the
// last is looked at first.
std::optional<uint32_t> SyncPass::PlaceOf(std::string_view id) {
  if (in_order_ && next_ < store_.slots_.size() && store_.slots_[next_].id() == id) {
    return next_++;
  }
  const std::optional<uint32_t> place = store_.PlaceOf(id);
  in_order_ = place == next_;
  next_ = place.value_or(next_) + 1;
  return place;
}

bool SyncPass::NeedsEntry(const EntryRevision& revision) {
  const std::optional<uint32_t> place = PlaceOf(revision.id);
  if (!place.has_value()) {
    return true;
  }
  seen_[*place] = true;
  const StoredEntry& entry = store_.slots_[*place];
  if (IsOlder(entry, revision.revision_number, revision.created_at)) {
    return false;
  }
  return entry.revision_number != revision.revision_number ||
         (revision.created_at != 0 && entry.created_at != revision.created_at);
}

bool SyncPass::IsOlder(const StoredEntry& known, int64_t revision_number, int64_t created_at) {
  if (revision_number >= known.revision_number || created_at != known.created_at) {
    return false;
  }
  const auto since = store_.older_since_.find(known.id());
  if (since != store_.older_since_.end() && now_ - since->second >= kPatienceWithOlder) {
    return false;
  }
  older_.emplace(known.id());
  return true;
}

void SyncPass::OnEntry(RegistrationEntry entry) {
  if (entry.id.empty() || entry.id.size() > RegistrationEntry::kMaxIdBytes) {
    return;
  }
  if (const std::optional<uint32_t> place = store_.PlaceOf(entry.id); place.has_value()) {
    seen_[*place] = true;
    if (IsOlder(store_.slots_[*place], entry.revision_number, entry.created_at)) {
      return;
    }
  }
  for (const TrustDomain& domain : entry.federates_with) {
    new_domains_.insert(domain.name());
  }
  fresh_.push_back(Compact(entry));
}

}  // namespace assay
