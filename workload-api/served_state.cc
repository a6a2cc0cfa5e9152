// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/served_state.h"

#include <malloc.h>

#include <span>
#include <utility>

#include "assay/roles.pb.h"

namespace assay {
namespace {

// Messages; one holds up to some 100 KB.
constexpr size_t kLargeChange = 8;

// Keys pass through protobuf strings, which do not wipe themselves.
void WipeKeys(roles::StateChange& change) {
  for (roles::Svid& svid : *change.mutable_svids()) {
    Wipe(svid.mutable_key()->data(), svid.mutable_key()->size());
  }
}

std::vector<Selector> SelectorsOf(const roles::Entry& entry) {
  std::vector<Selector> selectors;
  for (const roles::Selector& selector : entry.selectors()) {
    selectors.push_back({selector.type(), selector.value()});
  }
  return selectors;
}

// The JWT authorities of a bundle, without the others.
absl::StatusOr<TrustBundle> JwtBundleOf(const roles::Bundle& message) {
  ASSIGN_OR_RETURN(const TrustDomain trust_domain, TrustDomain::Parse(message.trust_domain()));
  TrustBundle bundle{.trust_domain = trust_domain,
                     .x509_authorities = {},
                     .jwt_authorities = {},
                     .sequence_number = {},
                     .refresh_hint = {}};
  for (const roles::JwtAuthority& authority : message.jwt_authorities()) {
    ASSIGN_OR_RETURN(crypto::PublicKey key, crypto::PublicKey::ParseSpki(authority.public_key()));
    bundle.jwt_authorities.push_back({.key_id = authority.key_id(),
                                      .public_key = std::move(key),
                                      .tainted = authority.tainted()});
  }
  return bundle;
}

}  // namespace

struct ServedState::Tables {
  EntryIndex entries;
  std::vector<uint64_t> entry_versions;  // By slot.
  uint64_t entries_version = 0;
  std::unordered_map<EntryIndex::Slot, Svid> svids;
  Bundles bundles;
};

ServedState::ServedState() : tables_(std::make_unique<Tables>()) {}
ServedState::~ServedState() = default;

const EntryIndex& ServedState::entries() const { return tables_->entries; }

const ServedState::Svid* ServedState::FindSvid(EntryIndex::Slot slot) const {
  const auto found = tables_->svids.find(slot);
  return found == tables_->svids.end() ? nullptr : &found->second;
}

const ServedState::Bundle* ServedState::FindBundle(std::string_view trust_domain) const {
  const auto found = tables_->bundles.find(trust_domain);
  return found == tables_->bundles.end() ? nullptr : &found->second;
}

const ServedState::Bundles& ServedState::bundles() const { return tables_->bundles; }

size_t ServedState::svid_count() const { return tables_->svids.size(); }

uint64_t ServedState::entries_version() const { return tables_->entries_version; }

uint64_t ServedState::EntryVersion(EntryIndex::Slot slot) const {
  return tables_->entry_versions[slot];
}

absl::StatusOr<bool> ServedState::Receive(roles::StateChange change) {
  const bool commit = change.commit();
  if (commit) {
    agent_chain_ = change.agent_chain();
    store_svid_count_ = change.store_svids();
    last_sync_ = change.last_sync();
  }
  if (change.reset()) {
    for (roles::StateChange& forgotten : gathered_) {
      WipeKeys(forgotten);
    }
    gathered_.clear();
    staged_ = std::make_unique<Tables>();
  }
  absl::Status applied;
  if (staged_ != nullptr) {
    applied = Apply(change, *staged_);
    WipeKeys(change);
  } else {
    gathered_.push_back(std::move(change));
  }
  if (applied.ok() && commit) {
    for (roles::StateChange& waiting : gathered_) {
      applied.Update(Apply(waiting, *tables_));
      WipeKeys(waiting);
    }
    const bool was_large = staged_ != nullptr || gathered_.size() >= kLargeChange;
    gathered_.clear();
    Commit();
    if (was_large) {
      // What it took was large and scattered: its pages go back to the system.
      malloc_trim(0);
    }
  }
  RETURN_IF_ERROR(applied);
  return commit;
}

void ServedState::Commit() {
  ready_ = true;
  if (staged_ != nullptr) {
    CarryOver(*tables_, *staged_);
    tables_ = std::move(staged_);
  }
}

void ServedState::CarryOver(Tables& from, Tables& to) {
  for (auto& [slot, svid] : from.svids) {
    const EntryIndex::View entry = from.entries.Get(slot);
    const auto found = to.entries.Find(entry.id);
    if (found.has_value() && to.entries.Get(*found).spiffe_id == entry.spiffe_id) {
      svid.carried_over = true;
      to.svids.try_emplace(*found, std::move(svid));
    }
  }
}

absl::Status ServedState::Apply(const roles::StateChange& change, Tables& tables) {
  for (const std::string& id : change.removed_entries()) {
    if (const auto slot = tables.entries.Remove(id)) {
      tables.svids.erase(*slot);
      tables.entries_version = ++version_;
    }
  }
  RETURN_IF_ERROR(PutEntries(change, tables));
  for (const std::string& id : change.removed_svids()) {
    if (const auto slot = tables.entries.Find(id)) {
      tables.svids.erase(*slot);
    }
  }
  PutSvids(change, tables);
  for (const std::string& name : change.removed_bundles()) {
    tables.bundles.erase(name);
  }
  return PutBundles(change, tables);
}

absl::Status ServedState::PutBundles(const roles::StateChange& change, Tables& tables) {
  for (const roles::Bundle& message : change.bundles()) {
    ASSIGN_OR_RETURN(TrustBundle bundle, JwtBundleOf(message));
    std::string document = ToJwtBundleDocument(bundle);
    tables.bundles.insert_or_assign(
        message.trust_domain(),
        Bundle{message.x509_authorities(), std::move(bundle.jwt_authorities), std::move(document),
               ++version_});
  }
  return absl::OkStatus();
}

absl::Status ServedState::PutEntries(const roles::StateChange& change, Tables& tables) {
  for (const roles::Entry& entry : change.entries()) {
    // An SVID of another SPIFFE ID than the entry's must never be served for it.
    const auto known = tables.entries.Find(entry.id());
    if (known.has_value() && tables.entries.Get(*known).spiffe_id != entry.spiffe_id()) {
      tables.svids.erase(*known);
    }
    const std::vector<Selector> selectors = SelectorsOf(entry);
    const std::vector<std::string> federates_with(entry.federates_with().begin(),
                                                  entry.federates_with().end());
    ASSIGN_OR_RETURN(const EntryIndex::Slot slot,
                     tables.entries.Put({.id = entry.id(),
                                         .spiffe_id = entry.spiffe_id(),
                                         .hint = entry.hint(),
                                         .created_at = entry.created_at(),
                                         .store_svid = entry.store_svid(),
                                         .jwt_svid_include_jti = entry.jwt_svid_include_jti(),
                                         .privileged = entry.privileged(),
                                         .selectors = selectors,
                                         .federates_with = federates_with}));
    if (slot >= tables.entry_versions.size()) {
      tables.entry_versions.resize(slot + 1);
    }
    tables.entry_versions[slot] = tables.entries_version = ++version_;
  }
  return absl::OkStatus();
}

void ServedState::PutSvids(const roles::StateChange& change, Tables& tables) {
  for (const roles::Svid& svid : change.svids()) {
    // The entry may have gone while its SVID was signed.
    if (const auto slot = tables.entries.Find(svid.entry_id())) {
      tables.svids.insert_or_assign(
          *slot, Svid{svid.chain(), Secret(svid.key()), svid.expires_at(), ++version_, false});
    }
  }
}

}  // namespace assay
