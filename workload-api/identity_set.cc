// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/identity_set.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/secret.h"
#include "workload-api/delegated_answers.h"
#include "workload-api/jwt_answers.h"
#include "workload-api/x509_answers.h"

namespace assay {
namespace {

// A caller's wish for SVIDs is repeated at most so often for a set.
constexpr absl::Duration kWantInterval = absl::Seconds(1);

// A frame of these bytes, which are wiped; the old frame when it is equal.
rpc::SharedFrame Reuse(rpc::SharedFrame old, std::string bytes) {
  auto frame = std::make_shared<const rpc::Frame>(std::string_view(bytes));
  Wipe(bytes.data(), bytes.size());
  return old != nullptr && old->bytes() == frame->bytes() ? old : frame;
}

}  // namespace

bool IdentitySet::empty() {
  Update();
  return identities_.empty();
}

bool IdentitySet::complete() {
  Update();
  return missing_.empty() && svids_ != nullptr;
}

bool IdentitySet::all_signed() {
  Update();
  return of_granted_.complete();
}

bool IdentitySet::awaits_first() {
  Update();
  return !identities_.empty() && missing_.size() == identities_.size();
}

rpc::SharedFrame IdentitySet::x509_svids() {
  Update();
  return svids_;
}

rpc::SharedFrame IdentitySet::x509_bundles() {
  Update();
  return bundles_;
}

rpc::SharedFrame IdentitySet::jwt_bundles() {
  Update();
  return jwt_bundles_;
}

const ServedState::Bundle* IdentitySet::FindBundle(std::string_view trust_domain) {
  Update();
  const bool known =
      trust_domain == sets_.options_.trust_domain || FederatesWith().contains(trust_domain);
  return known ? sets_.state_.FindBundle(trust_domain) : nullptr;
}

const std::vector<EntryIndex::Slot>& IdentitySet::identities() {
  Update();
  return identities_;
}

std::vector<EntryIndex::Slot> IdentitySet::answered() {
  Update();
  std::vector<EntryIndex::Slot> answered;
  // In one order: what is missing was found going through the identities.
  auto missing = missing_.begin();
  for (const EntryIndex::Slot slot : identities_) {
    if (missing != missing_.end() && *missing == slot) {
      ++missing;
    } else {
      answered.push_back(slot);
    }
  }
  return answered;
}

uint64_t IdentitySet::withdrawals() {
  Update();
  return of_identities_.withdrawals();
}

uint64_t IdentitySet::all_withdrawals() {
  Update();
  return of_granted_.withdrawals();
}

void IdentitySet::Want() {
  Update();
  const absl::Duration now = sets_.clock_.SinceBoot();
  if (missing_.empty() && hidden_missing_.empty() && carried_.empty()) {
    return;
  }
  of_identities_.Want(now);
  of_granted_.Want(now);
  if (now - wanted_last_ < kWantInterval) {
    return;
  }
  wanted_last_ = now;
  std::vector<std::string> ids;
  for (const auto* slots : {&missing_, &hidden_missing_, &carried_}) {
    for (EntryIndex::Slot slot : *slots) {
      ids.emplace_back(sets_.state_.entries().Get(slot).id);
    }
  }
  sets_.options_.want(ids);
}

void IdentitySet::TellUse() {
  Update();
  const absl::Duration now = sets_.clock_.SinceBoot();
  if (svids_ == nullptr || awaits_first() || now - use_told_ < IdentitySets::kUseInterval) {
    return;
  }
  use_told_ = now;
  std::vector<std::string> ids;
  for (EntryIndex::Slot slot : matching_) {
    ids.emplace_back(sets_.state_.entries().Get(slot).id);
  }
  sets_.options_.used(ids);
}

bool IdentitySet::Overdue(const IssuedSvids& svids) const {
  return sets_.clock_.SinceBoot() - svids.wanted_since() >= kPatience;
}

void IdentitySet::Observe(IdentityObserver& observer) {
  if (observers_.empty()) {
    Update();
    told_ = Now();
  }
  observer.place_ = observers_.size();
  observers_.push_back(&observer);
  TellUse();
  sets_.WatchExpiry(earliest_expiry_);
}

void IdentitySet::Forget(IdentityObserver& observer) {
  if (observer.place_ >= observers_.size() || observers_[observer.place_] != &observer) {
    return;
  }
  observers_.back()->place_ = observer.place_;
  observers_[observer.place_] = observers_.back();
  observers_.pop_back();
  observer.place_ = SIZE_MAX;
}

void IdentitySet::Update() {
  const bool expired = earliest_expiry_ <= absl::ToUnixSeconds(sets_.clock_.Now());
  if (generation_ == sets_.generation_ && !expired) {
    return;
  }
  generation_ = sets_.generation_;
  if (!matched_ || entries_version_ != sets_.state_.entries_version()) {
    Match();
  }
  std::vector<uint64_t> fingerprint = Fingerprint();
  if (fingerprint == fingerprint_ && !expired) {
    return;
  }
  fingerprint_ = std::move(fingerprint);
  BuildSvids();
  BuildBundles();
}

void IdentitySet::Match() {
  const EntryIndex& entries = sets_.state_.entries();
  matched_ = true;
  entries_version_ = sets_.state_.entries_version();
  matching_ = entries.Match(key_.selectors);
  const bool for_delegate = key_.whom == For::kDelegate;
  std::erase_if(matching_, [&](EntryIndex::Slot slot) {
    const EntryIndex::View view = entries.Get(slot);
    return view.store_svid || (for_delegate && view.privileged);
  });
  hidden_.clear();
  if (for_delegate) {
    identities_ = matching_;
    return;
  }
  // WLAPI-18: of the entries with one hint the oldest keeps it, and of these the first by id.
  std::map<std::string_view, EntryIndex::Slot> by_hint;
  for (EntryIndex::Slot slot : matching_) {
    const EntryIndex::View view = entries.Get(slot);
    const auto [holder, first] = by_hint.try_emplace(view.hint, slot);
    if (!first && view.created_at < entries.Get(holder->second).created_at) {
      holder->second = slot;
    }
  }
  identities_.clear();
  for (EntryIndex::Slot slot : matching_) {
    const std::string_view hint = entries.Get(slot).hint;
    (hint.empty() || by_hint[hint] == slot ? identities_ : hidden_).push_back(slot);
  }
}

std::vector<uint64_t> IdentitySet::Fingerprint() const {
  std::vector<uint64_t> versions;
  for (EntryIndex::Slot slot : matching_) {
    const ServedState::Svid* svid = sets_.state_.FindSvid(slot);
    versions.push_back(sets_.state_.EntryVersion(slot));
    versions.push_back(svid == nullptr ? 0 : svid->version);
  }
  std::set<std::string_view> trust_domains = FederatesWith();
  trust_domains.insert(sets_.options_.trust_domain);
  for (std::string_view name : trust_domains) {
    const ServedState::Bundle* bundle = sets_.state_.FindBundle(name);
    versions.push_back(bundle == nullptr ? 0 : bundle->version);
  }
  return versions;
}

std::set<std::string_view> IdentitySet::FederatesWith() const {
  std::set<std::string_view> names;
  for (EntryIndex::Slot slot : matching_) {
    for (std::string_view name : sets_.state_.entries().FederatesWith(slot)) {
      names.insert(name);
    }
  }
  names.erase(sets_.options_.trust_domain);
  return names;
}

const ServedState::Svid* IdentitySet::NoteSvid(EntryIndex::Slot slot, int64_t now) {
  const ServedState::Svid* svid = sets_.state_.FindSvid(slot);
  if (svid == nullptr || svid->expires_at <= now) {
    return nullptr;
  }
  if (svid->carried_over) {
    carried_.push_back(slot);
  }
  earliest_expiry_ = std::min(earliest_expiry_, svid->expires_at);
  return svid;
}

void IdentitySet::BuildSvids() {
  const ServedState& state = sets_.state_;
  const ServedState::Bundle* own = state.FindBundle(sets_.options_.trust_domain);
  const std::string_view authorities =
      own == nullptr ? std::string_view() : std::string_view(own->x509_authorities);
  const int64_t now = absl::ToUnixSeconds(sets_.clock_.Now());
  missing_.clear();
  hidden_missing_.clear();
  hidden_versions_.clear();
  carried_.clear();
  earliest_expiry_ = INT64_MAX;
  std::vector<X509SvidItem> items;
  for (EntryIndex::Slot slot : identities_) {
    const ServedState::Svid* svid = NoteSvid(slot, now);
    if (svid == nullptr) {
      missing_.push_back(slot);
      continue;
    }
    const EntryIndex::View view = state.entries().Get(slot);
    items.push_back({.spiffe_id = view.spiffe_id,
                     .chain = svid->chain,
                     .key = svid->key.Reveal(),
                     .bundle = authorities,
                     .hint = view.hint,
                     .expires_at = svid->expires_at});
  }
  for (EntryIndex::Slot slot : hidden_) {
    const ServedState::Svid* svid = NoteSvid(slot, now);
    hidden_versions_.push_back(svid == nullptr ? 0 : svid->version);
    if (svid == nullptr) {
      hidden_missing_.push_back(slot);
    }
  }
  of_identities_.Update(IssuedOf(identities_, now), now);
  of_granted_.Update(IssuedOf(matching_, now), now);
  earliest_expiry_ =
      std::min({earliest_expiry_, of_identities_.next_expiry(), of_granted_.next_expiry()});
  // A delegate is told that there are none, and of bundles by other streams. Nothing can be
  // verified by an own bundle without authorities.
  if (key_.whom == For::kProcess && (items.empty() || authorities.empty())) {
    svids_ = nullptr;
    return;
  }
  svids_ = Reuse(svids_, SvidsAnswer(items));
}

std::string IdentitySet::SvidsAnswer(const std::vector<X509SvidItem>& items) const {
  X509Bundles federated;
  std::set<std::string_view> names;
  for (std::string_view name : FederatesWith()) {
    if (const ServedState::Bundle* bundle = sets_.state_.FindBundle(name)) {
      federated[name] = bundle->x509_authorities;
      names.insert(name);
    }
  }
  return key_.whom == For::kDelegate ? DelegatedX509SvidsAnswer(items, names)
                                     : X509SvidAnswer(items, federated);
}

std::vector<IssuedSvids::Svid> IdentitySet::IssuedOf(const std::vector<EntryIndex::Slot>& slots,
                                                     int64_t now) const {
  std::vector<IssuedSvids::Svid> issued;
  for (EntryIndex::Slot slot : slots) {
    const ServedState::Svid* svid = sets_.state_.FindSvid(slot);
    issued.push_back(
        {.spiffe_id = sets_.state_.entries().Get(slot).spiffe_id,
         .expires_at = svid != nullptr && svid->expires_at > now ? svid->expires_at : 0});
  }
  return issued;
}

void IdentitySet::BuildBundles() {
  const ServedState& state = sets_.state_;
  const ServedState::Bundle* own = state.FindBundle(sets_.options_.trust_domain);
  if (own == nullptr || key_.whom == For::kDelegate) {
    bundles_ = jwt_bundles_ = nullptr;
    return;
  }
  X509Bundles bundles{{sets_.options_.trust_domain, own->x509_authorities}};
  JwtBundles jwt_bundles{{sets_.options_.trust_domain, own->jwt_document}};
  for (std::string_view name : FederatesWith()) {
    if (const ServedState::Bundle* bundle = state.FindBundle(name)) {
      bundles[name] = bundle->x509_authorities;
      jwt_bundles[name] = bundle->jwt_document;
    }
  }
  bundles_ = Reuse(bundles_, X509BundlesAnswer(bundles));
  jwt_bundles_ = Reuse(jwt_bundles_, JwtBundlesAnswer(jwt_bundles));
}

IdentitySet::Told IdentitySet::Now() const {
  return {svids_,
          bundles_,
          jwt_bundles_,
          hidden_versions_,
          missing_.size(),
          identities_.empty(),
          sets_.state_.ready()};
}

void IdentitySet::UpdateAndTell() {
  Update();
  if (!carried_.empty()) {
    Want();
  }
  if (Now() != told_) {
    told_ = Now();
    // From the end, for an observer may forget itself and the last then takes its place.
    for (size_t i = observers_.size(); i > 0; i = std::min(i - 1, observers_.size())) {
      observers_[i - 1]->OnIdentitiesChanged();
    }
  }
  sets_.WatchExpiry(earliest_expiry_);
}

}  // namespace assay
