// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/sds_call.h"

#include <algorithm>
#include <utility>

#include "envoy/config/core/v3/base.pb.h"

namespace assay {
namespace {

// A resource that is told, in terms of one looked up.
constexpr size_t kCostToTell = 16;

}  // namespace

SdsCall::SdsCall(rpc::Call& call, const Context& context)
    : call_(call),
      context_(context),
      // As of a node that says nothing.
      validation_(ValidationFor({}, context.resources.options().disable_spiffe_cert_validation)) {
  context_.open.insert(this);
}

SdsCall::~SdsCall() {
  *alive_ = false;
  context_.open.erase(this);
  context_.turns.Forget(*this);
  context_.calls.loop.Cancel(wait_timer_);
  if (observing_) {
    identities_->Forget(*this);
    context_.calls.gate.Forget(call_, *this);
  }
}

void SdsCall::OnMessage(std::string_view bytes) {
  if (ended_) {
    return;
  }
  if (!pace_.MayAsk(context_.calls.clock.SinceBoot())) {
    End(ResourceExhausted("the stream asks too often"));
    return;
  }
  const absl::StatusOr<bool> changed = Take(bytes);
  if (!changed.ok()) {
    End(changed.status());
    return;
  }
  if (!*changed) {
    return;
  }
  missing_noted_ = false;
  if (!Keep()) {
    return;
  }
  if (observing_) {
    Consider();
  } else {
    Admit();
  }
}

// Of what was told by names that were asked for the subscription has the cost already.
bool SdsCall::Keep() {
  size_t told = 0;
  if (subscription_.everything()) {
    size_t bytes = 0;
    for (const auto& [name, has] : told_) {
      bytes += name.size() + has.version.size();
    }
    told = SdsSubscription::KeptBytes(told_.size(), bytes);
  }
  const bool kept = call_.Keep(subscription_.kept_bytes() + std::max(kept_too_, told));
  if (!kept) {
    End(ResourceExhausted("no memory for so many names of resources at this time"));
  }
  return kept;
}

void SdsCall::OnHalfClose() {
  half_closed_ = true;
  if (ended_ || admitting_ || Turns::Waits(*this)) {
    return;
  }
  if (observing_ && !context_.calls.state.ready()) {
    WaitForState();
  } else {
    End(absl::OkStatus());
  }
}

void SdsCall::OnOfferChanged() {
  if (observing_) {
    Consider();
  }
}

void SdsCall::Consider() {
  news_ = nullptr;
  context_.turns.Add(user(), *this);
}

size_t SdsCall::OnTurn() {
  if (ended_ || call_.lost() || EndIfDead()) {
    return 0;
  }
  if (!context_.calls.state.ready()) {
    if (half_closed_ || !waits()) {
      WaitForState();
    }
    return 0;
  }
  auto found = std::make_unique<Found>(Look());
  const size_t looked = found->cost + told_.size();
  if (!HasNews(*found)) {
    Rest(*found);
    return looked;
  }
  const size_t told = found->resources.size();
  news_ = std::move(found);
  Admit();
  return looked + told * kCostToTell;
}

void SdsCall::Admit() {
  if (!std::exchange(admitting_, true)) {
    context_.calls.gate.Admit(call_, [this, alive = alive_](auto identities) {
      if (*alive) {
        admitting_ = false;
        OnAdmitted(std::move(identities));
      }
    });
  }
}

void SdsCall::OnAdmitted(absl::StatusOr<std::shared_ptr<IdentitySet>> identities) {
  if (ended_ || call_.lost()) {
    return;
  }
  if (!identities.ok()) {
    LogUnadmitted(context_.calls, call_, name(), identities.status());
    End(identities.status());
    return;
  }
  if (Follow(*std::move(identities))) {
    Consider();
    return;
  }
  // Only what has not changed since is told; else there is another turn.
  if (const std::unique_ptr<Found> news = std::move(news_)) {
    Tell(*news);
    Rest(*news);
  }
}

void SdsCall::Rest(const Found& found) {
  if (ended_) {
    return;
  }
  told_withdrawals_ = found.withdrawals;
  for (const auto& [name, resource] : found.resources) {
    // Held for the others that have it, though another stream told it.
    if (const auto told = told_.find(name); told != told_.end()) {
      told->second.resource = resource;
    }
  }
  NoteMissing(found);
  if (Keep() && half_closed_) {
    End(absl::OkStatus());
  }
}

bool SdsCall::Follow(std::shared_ptr<IdentitySet> identities) {
  if (identities == identities_) {
    return false;
  }
  if (observing_) {
    identities_->Forget(*this);
    // Nothing that it was told by the other identities is awaited by these.
    told_withdrawals_ = UINT64_MAX;
  } else {
    context_.calls.gate.Observe(call_, *this);
    told_withdrawals_ = identities->all_withdrawals();
  }
  identities_ = std::move(identities);
  identities_->Observe(*this);
  observing_ = true;
  return true;
}

SdsCall::Found SdsCall::Look() {
  if (!std::exchange(ready_, true)) {
    context_.calls.loop.Cancel(std::exchange(wait_timer_, 0));
  }
  Found found;
  found.withdrawals = identities_->all_withdrawals();
  const bool wants_svids = WantsSvids();
  found.has_identity = !identities_->empty();
  found.settled = !found.has_identity || !wants_svids || identities_->all_signed() ||
                  identities_->all_overdue() || (waited_ && !waits());
  SdsResources::Offer offer = context_.resources.OfferTo(*identities_, validation_);
  if (subscription_.everything()) {
    FindEverything(offer, found);
  }
  found.cost += found.resources.size();
  for (const std::string& wanted : subscription_.names()) {
    SharedSdsResource resource = offer.Find(wanted, found.settled);
    if (resource != nullptr) {
      const std::string_view name = resource->name;
      found.resources.try_emplace(name, std::move(resource));
    } else {
      found.missing.push_back(wanted);
    }
  }
  found.cost += offer.cost();
  if (wants_svids) {
    identities_->Want();
  }
  if (!found.settled) {
    FindAwaited(found);
    if (wait_timer_ == 0 && (!found.missing.empty() || subscription_.everything())) {
      WaitAtMost(IdentitySet::kPatience);
    }
  }
  return found;
}

void SdsCall::FindEverything(SdsResources::Offer& offer, Found& found) {
  for (SharedSdsResource& resource : offer.All()) {
    const std::string_view name = resource->name;
    found.resources.try_emplace(name, std::move(resource));
  }
}

void SdsCall::FindAwaited(Found& found) {
  if (found.withdrawals != told_withdrawals_) {
    return;
  }
  for (const auto& [name, told] : told_) {
    const bool is_svid =
        told.resource != nullptr ? told.resource->is_svid : !context_.resources.NamesBundle(name);
    if (is_svid && subscription_.Covers(name) && !found.resources.contains(name)) {
      found.awaited.insert(name);
    }
  }
}

bool SdsCall::WantsSvids() const {
  return subscription_.everything() ||
         std::ranges::any_of(subscription_.names(), [this](const std::string& name) {
           return !context_.resources.NamesBundle(name);
         });
}

bool SdsCall::Has(const SdsResource& resource) const {
  const auto found = told_.find(resource.name);
  return found != told_.end() && found->second.version == resource.version;
}

bool SdsCall::TakeNode(const envoy::config::core::v3::Node& node) {
  return validation_ !=
         std::exchange(
             validation_,
             ValidationFor(node, context_.resources.options().disable_spiffe_cert_validation));
}

void SdsCall::WaitForState() {
  WaitAtMost(context_.calls.first_state_deadline - context_.calls.clock.SinceBoot());
}

void SdsCall::WaitAtMost(absl::Duration time) {
  context_.calls.loop.Cancel(wait_timer_);
  wait_timer_ = context_.calls.loop.After(time, [this] { OnWaited(); });
}

void SdsCall::OnWaited() {
  wait_timer_ = 0;
  if (!context_.calls.state.ready()) {
    End(Unavailable("the agent has not synchronised with its upstream yet"));
    return;
  }
  waited_ = true;
  Consider();
}

bool SdsCall::EndIfDead() {
  const bool dead = !call_.peer().process.Alive();
  if (dead) {
    End(Unavailable("the caller has exited"));
  }
  return dead;
}

void SdsCall::End(const absl::Status& status) {
  ended_ = true;
  context_.calls.loop.Cancel(std::exchange(wait_timer_, 0));
  context_.turns.Forget(*this);
  if (std::exchange(observing_, false)) {
    identities_->Forget(*this);
    context_.calls.gate.Forget(call_, *this);
  }
  news_ = nullptr;
  told_.clear();
  call_.Finish(status);
}

}  // namespace assay
