// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/sds_call.h"

#include <utility>

#include "base/log.h"
#include "envoy/config/core/v3/base.pb.h"
#include "google/rpc/status.pb.h"

namespace assay {

SdsCall::SdsCall(rpc::Call& call, const Context& context)
    : call_(call),
      context_(context),
      // As of a node that says nothing.
      validation_(ValidationFor({}, context.resources.options().disable_spiffe_cert_validation)) {}

SdsCall::~SdsCall() {
  *alive_ = false;
  Keep(0);
  context_.loop.Cancel(wait_timer_);
  if (observing_) {
    identities_->Forget(*this);
    context_.gate.Forget(call_, *this);
  }
}

void SdsCall::OnMessage(std::string_view bytes) {
  if (ended_) {
    return;
  }
  if (absl::Status taken = Take(bytes); !taken.ok()) {
    End(taken);
    return;
  }
  if (!Keep(subscription_.kept_bytes())) {
    End(ResourceExhausted("the streams of this user ask for too many names of resources"));
    return;
  }
  Consider();
}

void SdsCall::OnHalfClose() {
  half_closed_ = true;
  if (!admitting_) {
    End(absl::OkStatus());
  }
}

void SdsCall::OnIdentitiesChanged() {
  if (!EndIfDead()) {
    Consider();
  }
}

void SdsCall::OnCallerGone(const absl::Status& why) { End(why); }

void SdsCall::Consider() {
  if (!observing_) {
    Admit();
    return;
  }
  if (!context_.state.ready()) {
    return;
  }
  const Found found = Look();
  if (HasNews(found)) {
    Admit();
    return;
  }
  NoteNoNews(found);
}

void SdsCall::NoteNoNews(const Found& found) {
  told_withdrawals_ = identities_->withdrawals();
  for (const auto& [name, resource] : found.resources) {
    // Held for the others that have it, though another stream told it.
    if (const auto told = told_.find(name); told != told_.end()) {
      told->second.resource = resource;
    }
  }
  NoteMissing(found);
}

void SdsCall::Admit() {
  if (!std::exchange(admitting_, true)) {
    context_.gate.Admit(call_, [this, alive = alive_](auto identities) {
      if (*alive) {
        admitting_ = false;
        OnAdmitted(std::move(identities));
      }
    });
  }
}

void SdsCall::OnAdmitted(absl::StatusOr<std::shared_ptr<IdentitySet>> identities) {
  if (ended_) {
    return;
  }
  const rpc::ProcessPeer& process = call_.peer().process;
  if (!identities.ok()) {
    if (context_.refusals.MayWrite(process.uid)) {
      log::Warn("Caller was not admitted",
                {{"method", name()}, {"pid", process.pid}, {"error", identities.status()}});
    }
    End(identities.status());
    return;
  }
  Follow(*std::move(identities));
  if (!context_.state.ready()) {
    if (!waits()) {
      WaitAtMost(context_.first_state_deadline - context_.clock.SinceBoot());
    }
    return;
  }
  const Found found = Look();
  if (HasNews(found)) {
    Tell(found);
  }
  if (!ended_) {
    NoteNoNews(found);
  }
  if (half_closed_) {
    End(absl::OkStatus());
  }
}

void SdsCall::Follow(std::shared_ptr<IdentitySet> identities) {
  if (identities == identities_) {
    return;
  }
  if (observing_) {
    identities_->Forget(*this);
    // Nothing that it was told by the other identities is awaited by these.
    told_withdrawals_ = UINT64_MAX;
  } else {
    context_.gate.Observe(call_, *this);
    told_withdrawals_ = identities->withdrawals();
  }
  identities_ = std::move(identities);
  identities_->Observe(*this);
  observing_ = true;
}

SdsCall::Found SdsCall::Look() {
  if (!std::exchange(ready_, true)) {
    context_.loop.Cancel(std::exchange(wait_timer_, 0));
  }
  Found found;
  found.has_identity = !identities_->empty();
  found.settled = !found.has_identity || identities_->complete() || identities_->overdue() ||
                  (waited_ && !waits());
  if (subscription_.everything()) {
    FindEverything(found);
  }
  for (const std::string& wanted : subscription_.names()) {
    SharedSdsResource resource =
        context_.resources.Find(*identities_, wanted, validation_, found.settled);
    if (resource != nullptr) {
      found.resources.try_emplace(resource->name, resource);
    } else {
      found.missing.push_back(wanted);
    }
  }
  WantSvids(found);
  if (!found.settled) {
    FindAwaited(found);
    if (wait_timer_ == 0 && (!found.missing.empty() || subscription_.everything())) {
      WaitAtMost(IdentitySet::kPatience);
    }
  }
  return found;
}

void SdsCall::FindEverything(Found& found) {
  for (SharedSdsResource& resource : context_.resources.All(*identities_, validation_)) {
    const std::string_view name = resource->name;
    // Of two entries with one SPIFFE ID the first counts.
    found.resources.try_emplace(name, std::move(resource));
  }
}

void SdsCall::FindAwaited(Found& found) {
  if (identities_->withdrawals() != told_withdrawals_) {
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

void SdsCall::WantSvids(const Found& found) {
  bool wanted = subscription_.everything();
  for (const auto& [name, resource] : found.resources) {
    wanted = wanted || resource->is_svid;
  }
  for (std::string_view name : found.missing) {
    wanted = wanted || !context_.resources.NamesBundle(name);
  }
  if (wanted) {
    identities_->Want();
  }
}

bool SdsCall::Has(const SdsResource& resource) const {
  const auto found = told_.find(resource.name);
  return found != told_.end() && found->second.version == resource.version;
}

void SdsCall::TakeNode(const envoy::config::core::v3::Node& node) {
  validation_ = ValidationFor(node, context_.resources.options().disable_spiffe_cert_validation);
}

void SdsCall::NoteMissing(const Found& found) {
  const bool unknown = subscription_.everything() && !found.has_identity;
  if ((found.missing.empty() && !unknown) || !found.settled ||
      std::exchange(missing_noted_, true)) {
    return;
  }
  if (!found.has_identity) {
    // What the stream gets when there is one is another matter.
    (void)NoIdentity();
    return;
  }
  const rpc::ProcessPeer& process = call_.peer().process;
  if (context_.refusals.MayWrite(process.uid)) {
    const std::string_view first = found.missing.front();
    const bool needs_validator = validation_ == SdsValidation::kPlain &&
                                 first == context_.resources.options().default_all_bundles_name;
    log::Warn("SDS resource is not there",
              {{"method", name()},
               {"pid", process.pid},
               {"resource", Quoted(first)},
               {"missing", found.missing.size()},
               {needs_validator ? "reason" : "",
                "it needs the SPIFFE validator, which is disabled or not in this Envoy"}});
  }
  context_.on_refused();
}

absl::Status SdsCall::NoIdentity() {
  const rpc::ProcessPeer& process = call_.peer().process;
  if (context_.refusals.MayWrite(process.uid)) {
    const std::string shown = context_.shown.Of(identities_->selectors());
    log::Error("No identity issued", {{"method", name()},
                                      {"pid", process.pid},
                                      {"registered", false},
                                      {shown.empty() ? "" : "selectors", shown},
                                      {"service", "SDS.v3"},
                                      {"subsystem_name", "endpoints"}});
  }
  context_.on_refused();
  return PermissionDenied("no identity issued");
}

void SdsCall::LogRefusal(const google::rpc::Status& why, std::string_view nonce) {
  const rpc::ProcessPeer& process = call_.peer().process;
  if (context_.refusals.MayWrite(process.uid)) {
    log::Error("Envoy refused SDS resources",
               {{"method", name()},
                {"pid", process.pid},
                {"nonce", Quoted(nonce)},
                {"error", fmt::format("code {}: {}", why.code(), Quoted(why.message()))}});
  }
}

void SdsCall::WaitAtMost(absl::Duration time) {
  context_.loop.Cancel(wait_timer_);
  wait_timer_ = context_.loop.After(time, [this] { OnWaited(); });
}

void SdsCall::OnWaited() {
  wait_timer_ = 0;
  if (!context_.state.ready() && !waits()) {
    End(Unavailable("the agent has not synchronised with its upstream yet"));
  } else if (!EndIfDead()) {
    waited_ = true;
    Consider();
  }
}

bool SdsCall::EndIfDead() {
  const bool dead = !call_.peer().process.Alive();
  if (dead) {
    End(Unavailable("the caller has exited"));
  }
  return dead;
}

bool SdsCall::Keep(size_t bytes) {
  const bool kept = context_.names.Change(call_.peer().process.uid, kept_bytes_, bytes);
  kept_bytes_ = kept ? bytes : kept_bytes_;
  return kept;
}

void SdsCall::End(const absl::Status& status) {
  ended_ = true;
  context_.loop.Cancel(std::exchange(wait_timer_, 0));
  if (std::exchange(observing_, false)) {
    identities_->Forget(*this);
    context_.gate.Forget(call_, *this);
  }
  told_.clear();
  call_.Finish(status);
}

}  // namespace assay
