// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/entries.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <unordered_set>

namespace assay {
namespace {

size_t ContentHash(const RegistrationEntry& entry) {
  constexpr size_t kSpread = 0x9e3779b97f4a7c15;
  const std::hash<std::string> hash;
  size_t mixed = hash(entry.spiffe_id.path());
  mixed = mixed * kSpread + hash(entry.parent_id->path());
  for (const Selector& selector : entry.selectors) {
    mixed = mixed * kSpread + hash(selector.type);
    mixed = mixed * kSpread + hash(selector.value);
  }
  return mixed;
}

bool HasEnded(const RegistrationEntry& entry, int64_t now) {
  return entry.expires_at != 0 && entry.expires_at <= now;
}

}  // namespace

EntrySet::EntrySet(const TrustDomain& trust_domain)
    : alias_parent_(trust_domain.IdString() + "/spire/server") {}

EntryPtr EntrySet::Find(std::string_view id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

EntryPtr EntrySet::FindSimilar(const RegistrationEntry& entry) const {
  const auto [begin, end] = by_content_.equal_range(ContentHash(entry));
  for (auto it = begin; it != end; ++it) {
    const RegistrationEntry& other = *it->second;
    if (other.spiffe_id == entry.spiffe_id && other.parent_id == entry.parent_id &&
        other.selectors == entry.selectors) {
      return it->second;
    }
  }
  return nullptr;
}

void EntrySet::Put(RegistrationEntry entry) {
  Erase(entry.id);
  const auto added = std::make_shared<const RegistrationEntry>(std::move(entry));
  by_id_.emplace(added->id, added);
  by_content_.emplace(ContentHash(*added), added);
  const std::string parent = added->parent_id->ToString();
  by_parent_[parent].insert(added);
  if (parent == alias_parent_ && !added->selectors.empty()) {
    aliases_[added->selectors.front()].insert(added);
  }
  if (added->admin) {
    admins_[added->spiffe_id.ToString()].insert(added);
  }
  if (added->expires_at != 0) {
    ends_.insert(added->expires_at);
  }
  ++version_;
}

void EntrySet::Erase(std::string_view id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) {
    return;
  }
  const EntryPtr entry = found->second;
  by_id_.erase(found);
  const auto [begin, end] = by_content_.equal_range(ContentHash(*entry));
  by_content_.erase(
      std::find_if(begin, end, [&](const auto& item) { return item.second == entry; }));
  const auto siblings = by_parent_.find(entry->parent_id->ToString());
  siblings->second.erase(entry);
  if (siblings->second.empty()) {
    by_parent_.erase(siblings);
  }
  if (!entry->selectors.empty()) {
    if (const auto alias = aliases_.find(entry->selectors.front()); alias != aliases_.end()) {
      alias->second.erase(entry);
      if (alias->second.empty()) {
        aliases_.erase(alias);
      }
    }
  }
  if (const auto admin = admins_.find(entry->spiffe_id.ToString()); admin != admins_.end()) {
    admin->second.erase(entry);
    if (admin->second.empty()) {
      admins_.erase(admin);
    }
  }
  if (entry->expires_at != 0) {
    ends_.erase(ends_.find(entry->expires_at));
  }
  ++version_;
}

int64_t EntrySet::NextEnd(int64_t now) const {
  const auto next = ends_.upper_bound(now);
  return next == ends_.end() ? std::numeric_limits<int64_t>::max() : *next;
}

bool EntrySet::IsAdmin(const SpiffeId& id, int64_t now) const {
  const auto found = admins_.find(id.ToString());
  return found != admins_.end() && std::ranges::any_of(found->second, [now](const EntryPtr& entry) {
           return !HasEnded(*entry, now);
         });
}

std::vector<EntryPtr> EntrySet::AuthorizedFor(const SpiffeId& agent,
                                              const std::vector<Selector>& node_selectors,
                                              int64_t now) const {
  std::vector<EntryPtr> authorized;
  // Parents once reached: an ID may be reached twice, or even from itself.
  std::unordered_set<std::string> reached;
  std::vector<std::string> open;
  const auto reach = [&](const SpiffeId& id) {
    std::string parent = id.ToString();
    if (by_parent_.contains(parent) && reached.insert(parent).second) {
      open.push_back(std::move(parent));
    }
  };
  reach(agent);
  for (const Selector& selector : node_selectors) {
    if (const auto found = aliases_.find(selector); found != aliases_.end()) {
      for (const EntryPtr& alias : found->second) {
        if (!HasEnded(*alias, now) && IsSubset(alias->selectors, node_selectors)) {
          reach(alias->spiffe_id);
        }
      }
    }
  }
  while (!open.empty()) {
    const Siblings& siblings = by_parent_.at(open.back());
    open.pop_back();
    for (const EntryPtr& entry : siblings) {
      if (!HasEnded(*entry, now)) {
        authorized.push_back(entry);
        reach(entry->spiffe_id);
      }
    }
  }
  std::sort(authorized.begin(), authorized.end(), ByEntryId());
  return authorized;
}

AuthorizedEntries::View AuthorizedEntries::For(const SpiffeId& agent,
                                               const std::vector<Selector>& node_selectors,
                                               int64_t now) {
  Remembered& known = views_[agent.ToString()];
  if (known.version != entries_.version() || known.node_selectors != node_selectors ||
      now >= known.until) {
    known.version = entries_.version();
    known.node_selectors = node_selectors;
    known.view = std::make_shared<const std::vector<EntryPtr>>(
        entries_.AuthorizedFor(agent, node_selectors, now));
    known.until = entries_.NextEnd(now);
  }
  return known.view;
}

EntryPtr FindIn(const std::vector<EntryPtr>& view, std::string_view id) {
  const auto found = std::lower_bound(
      view.begin(), view.end(), id,
      [](const EntryPtr& entry, std::string_view wanted) { return entry->id < wanted; });
  return found == view.end() || (*found)->id != id ? nullptr : *found;
}

}  // namespace assay
