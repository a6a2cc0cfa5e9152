// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_node.h"

#include <utility>

#include "agent/identity_trust.h"
#include "base/log.h"
#include "spiffe/x509_svid.h"

namespace assay {
namespace {

constexpr std::string_view kSubsystem = "attestor";
constexpr absl::Duration kLeastLifeLeft = absl::Seconds(1);
// Nothing else is to be done before the node is attested; later, syncs and renewals wait for it.
constexpr absl::Duration kFirstPatience = absl::Minutes(15);
constexpr absl::Duration kLaterPatience = absl::Minutes(1);

// Whether it can be used at all. An answer that cannot changes nothing of the node.
absl::Status CheckUsable(const std::vector<crypto::Certificate>& chain, absl::Time now) {
  if (chain.empty()) {
    return Internal("the upstream gave the agent an empty chain");
  }
  return CheckFresh({chain.front().not_before(), chain.front().not_after()}, now);
}

NodeFacts FactsOf(SpiffeId id, const AgentSvid& svid) {
  const crypto::Certificate& leaf = svid.chain.front();
  return {.id = std::move(id),
          .validity = {leaf.not_before(), leaf.not_after()},
          .reattestable = svid.reattestable,
          .authority_key_id = svid.chain.back().authority_key_id(),
          .chain = crypto::Concatenate(svid.chain)};
}

TrustBundle BundleOf(const TrustDomain& trust_domain,
                     const std::vector<crypto::Certificate>& authorities) {
  TrustBundle bundle{.trust_domain = trust_domain,
                     .x509_authorities = {},
                     .jwt_authorities = {},
                     .sequence_number = {},
                     .refresh_hint = {}};
  for (const crypto::Certificate& authority : authorities) {
    bundle.x509_authorities.push_back({authority, false});
  }
  return bundle;
}

}  // namespace

absl::StatusOr<std::optional<NodeFacts>> NodeIdentity::Load() {
  ASSIGN_OR_RETURN(AgentState state, disk_.Load());
  progress_ = state.bootstrap;
  if (!state.bundle.empty()) {
    bundle_ = BundleOf(options_.trust_domain, state.bundle);
    bundle_fetched_ = true;
    progress_.had_bundle = true;
    upstream_.SetBundle(*bundle_);
    log::Info("Bundle loaded", {{"subsystem_name", kSubsystem},
                                {"trust_domain_id", options_.trust_domain.IdString()}});
  }
  if (!state.svid.has_value() || state.bundle.empty()) {
    log::Debug("No pre-existing agent SVID found. Will perform node attestation",
               {{"subsystem_name", kSubsystem}});
    return std::nullopt;
  }
  const absl::StatusOr<SpiffeId> id = ParseLeafId(state.svid->chain.front());
  if (!id.ok() || id->trust_domain() != options_.trust_domain) {
    return DataLoss("the agent's SVID on disk is of another trust domain; remove {}",
                    disk_.data_path());
  }
  if (state.svid->chain.front().not_after() <= clock_.Now() + kLeastLifeLeft) {
    log::Warn("Agent SVID on disk has expired",
              {{"spiffe_id", id->ToString()}, {"subsystem_name", kSubsystem}});
    return std::nullopt;
  }
  svid_ = std::move(state.svid);
  id_ = *id;
  Present();
  return FactsOf(*id, *svid_);
}

absl::Status NodeIdentity::PrepareAttestor() {
  if (attestor_ != nullptr) {
    return absl::OkStatus();
  }
  absl::StatusOr<std::unique_ptr<NodeAttestor>> made = options_.make_attestor();
  if (absl::IsPermissionDenied(made.status())) {
    // Of a file, not of the upstream.
    return FailedPrecondition("{}", Message(made.status()));
  }
  RETURN_IF_ERROR(made.status());
  attestor_ = *std::move(made);
  return absl::OkStatus();
}

absl::StatusOr<NodeFacts> NodeIdentity::Attest(Trust trust) {
  RETURN_IF_ERROR(PrepareAttestor());
  log::Info(
      svid_.has_value() ? "Starting node re-attestation"
                        : "SVID is not found. Starting node attestation",
      {{"subsystem_name", kSubsystem}, {"trust_domain_id", options_.trust_domain.IdString()}});
  const bool is_overdue = !svid_.has_value() && progress_.since != absl::UnixEpoch() &&
                          options_.rebootstrap_after.has_value() &&
                          clock_.Now() - progress_.since >= *options_.rebootstrap_after;
  const bool anew = trust == Trust::kAnew || !bundle_fetched_ || is_overdue;
  absl::StatusOr<NodeFacts> facts = anew ? AttestByBootstrap() : AttestByKnown();
  if (IsUntrusted(facts.status()) && anew) {
    log::Info("Trust Bundle and Server don't agree, bootstrapping again",
              {{"subsystem_name", kSubsystem}});
  } else if (IsUntrusted(facts.status())) {
    UntilRebootstrap();
  }
  return facts;
}

absl::StatusOr<NodeIdentity::Attested> NodeIdentity::CallAttest() {
  ASSIGN_OR_RETURN(std::shared_ptr<const crypto::Signer> key, disk_.keys().Generate());
  const absl::Duration patience = svid_.has_value() ? kLaterPatience : kFirstPatience;
  ASSIGN_OR_RETURN(AttestationResult result, upstream_.Attest(*attestor_, *key, patience));
  RETURN_IF_ERROR(CheckUsable(result.chain, clock_.Now()));
  return Attested{std::move(result), std::move(key)};
}

absl::StatusOr<NodeFacts> NodeIdentity::AttestByKnown() {
  ASSIGN_OR_RETURN(Attested attested, CallAttest());
  if (!CheckTrusted(attested.result.chain, *bundle_, clock_.Now()).ok()) {
    // The bundle is older than the SVID. What the node had is not accepted any more.
    upstream_.SetSvid(std::nullopt);
    const absl::Status trusted = RefreshTrust(attested.result.chain);
    Present();
    RETURN_IF_ERROR(trusted);
  }
  return TakeAttested(std::move(attested));
}

// While it is under way no call of this node's SVID is made: the bundle may name another upstream.
absl::StatusOr<NodeFacts> NodeIdentity::AttestByBootstrap() {
  NoteUntrusted();
  ++progress_.attempts;
  SaveProgress();
  ASSIGN_OR_RETURN(
      const std::optional<TrustBundle> bootstrap,
      options_.fetch_bootstrap(
          {.again = progress_.had_bundle, .number = progress_.attempts, .since = progress_.since}));
  const std::string domain = options_.trust_domain.IdString();
  upstream_.SetSvid(std::nullopt);
  if (bootstrap.has_value()) {
    upstream_.SetBundle(*bootstrap);
    log::Info("Bundle loaded", {{"subsystem_name", kSubsystem}, {"trust_domain_id", domain}});
  } else {
    log::Warn("Insecure bootstrap enabled; skipping server certificate verification",
              {{"subsystem_name", kSubsystem}, {"trust_domain_id", domain}});
  }
  absl::StatusOr<NodeFacts> facts = AttestFrom(bootstrap);
  if (!facts.ok() && bundle_.has_value()) {
    upstream_.SetBundle(*bundle_);
    Present();
  }
  return facts;
}

absl::StatusOr<NodeFacts> NodeIdentity::AttestFrom(const std::optional<TrustBundle>& bootstrap) {
  ASSIGN_OR_RETURN(Attested attested, CallAttest());
  // While the connection is still without a certificate. A bundle to begin with lasts until the
  // first sync; without any, nothing that comes later could be verified.
  const absl::StatusOr<TrustBundle> fetched = upstream_.FetchBundle();
  if (fetched.ok()) {
    RETURN_IF_ERROR(CheckTrusted(attested.result.chain, *fetched, clock_.Now()));
  } else if (!bootstrap.has_value()) {
    return WithContext(fetched.status(), "fetching the trust bundle after attestation");
  }
  bundle_ = fetched.ok() ? *fetched : bootstrap;
  bundle_fetched_ = fetched.ok();
  upstream_.SetBundle(*bundle_);
  return TakeAttested(std::move(attested));
}

NodeFacts NodeIdentity::TakeAttested(Attested attested) {
  const bool reattestable = attested.result.reattestable;
  const std::string id = attested.result.id.ToString();
  progress_ = {.had_bundle = true};
  NodeFacts facts = Take(std::move(attested));
  log::Info("Node attestation was successful",
            {{"reattestable", reattestable},
             {"spiffe_id", id},
             {"subsystem_name", kSubsystem},
             {"trust_domain_id", options_.trust_domain.IdString()}});
  if (!reattestable && options_.keys_in_memory) {
    log::Warn(
        "Node attestation is not reattestable and the 'memory' key manager is in use; if the agent "
        "process is restarted, it will be unable to obtain a new SVID and will need to be manually "
        "evicted to be able to re-attest.");
  }
  return facts;
}

// An SVID that does not verify by the bundle may be of an authority that is newer than that.
absl::Status NodeIdentity::RefreshTrust(const std::vector<crypto::Certificate>& chain) {
  const absl::StatusOr<TrustBundle> fetched = upstream_.FetchBundle();
  RETURN_IF_ERROR(fetched.status());
  RETURN_IF_ERROR(CheckTrusted(chain, *fetched, clock_.Now()));
  SetBundle(*fetched);
  return absl::OkStatus();
}

absl::StatusOr<NodeFacts> NodeIdentity::Renew() {
  ASSIGN_OR_RETURN(const std::shared_ptr<const crypto::Signer> key, disk_.keys().Generate());
  ASSIGN_OR_RETURN(AttestationResult result, upstream_.Renew(*key));
  RETURN_IF_ERROR(CheckUsable(result.chain, clock_.Now()));
  if (!bundle_.has_value() || !CheckTrusted(result.chain, *bundle_, clock_.Now()).ok()) {
    RETURN_IF_ERROR(RefreshTrust(result.chain));
  }
  result.reattestable = svid_.has_value() && svid_->reattestable;
  return Take({std::move(result), key});
}

NodeFacts NodeIdentity::Take(Attested attested) {
  AttestationResult& result = attested.result;
  svid_ = {.chain = std::move(result.chain),
           .key = std::move(attested.key),
           .reattestable = result.reattestable};
  id_ = result.id;
  // Before it is used: from then on the upstream refuses the one on disk.
  if (absl::Status saved = Save(); !saved.ok()) {
    log::Error("Saving the agent's SVID failed: a restart will need a new attestation",
               {{"error", saved}, {"subsystem_name", kSubsystem}});
  }
  Present();
  return FactsOf(std::move(result.id), *svid_);
}

void NodeIdentity::Present() {
  if (svid_.has_value()) {
    upstream_.SetSvid(X509Svid{.id = *id_, .chain = svid_->chain, .key = svid_->key});
  } else {
    upstream_.SetSvid(std::nullopt);
  }
}

void NodeIdentity::Forget() {
  svid_.reset();
  Present();
  if (absl::Status saved = Save(); !saved.ok()) {
    log::Error("Removing the agent's SVID from disk failed",
               {{"error", saved}, {"subsystem_name", kSubsystem}});
  }
}

void NodeIdentity::SetBundle(const TrustBundle& bundle) {
  if (bundle_fetched_ && bundle_.has_value() && *bundle_ == bundle) {
    return;
  }
  const bool roots_changed =
      !bundle_fetched_ || !bundle_.has_value() || bundle_->Roots() != bundle.Roots();
  bundle_ = bundle;
  bundle_fetched_ = true;
  upstream_.SetBundle(bundle);
  if (!roots_changed || !svid_.has_value()) {
    return;
  }
  if (absl::Status saved = Save(); !saved.ok()) {
    log::Error("Saving the trust bundle failed",
               {{"error", saved}, {"subsystem_name", kSubsystem}});
  }
}

void NodeIdentity::NoteUntrusted() {
  if (progress_.since == absl::UnixEpoch()) {
    // As coarse as it is on disk.
    progress_.since = absl::FromUnixSeconds(absl::ToUnixSeconds(clock_.Now()));
    progress_.attempts = 0;
  }
}

absl::Duration NodeIdentity::UntilRebootstrap() {
  if (!options_.rebootstrap_after.has_value()) {
    return absl::InfiniteDuration();
  }
  if (progress_.since == absl::UnixEpoch()) {
    NoteUntrusted();
    SaveProgress();
  }
  const absl::Duration left = *options_.rebootstrap_after - (clock_.Now() - progress_.since);
  if (left > absl::ZeroDuration()) {
    log::Info("Trust Bundle and Server don't agree, ignoring for now",
              {{"subsystem_name", kSubsystem}, {"time_left", absl::FormatDuration(left)}});
  } else {
    log::Warn("Trust Bundle and Server don't agree, rebootstrapping",
              {{"subsystem_name", kSubsystem}});
  }
  return left;
}

void NodeIdentity::NoteTrusted() {
  if (progress_.since != absl::UnixEpoch()) {
    progress_ = {.had_bundle = true};
    SaveProgress();
  }
}

// What is lost with it is how long the upstream has not been trusted.
void NodeIdentity::SaveProgress() {
  if (absl::Status saved = Save(); !saved.ok()) {
    log::Warn("Saving the state of the bootstrap failed",
              {{"error", saved}, {"subsystem_name", kSubsystem}});
  }
}

absl::Status NodeIdentity::Save() {
  return disk_.Save(
      {.svid = svid_,
       .bundle = bundle_.has_value() ? bundle_->Roots() : std::vector<crypto::Certificate>(),
       .bootstrap = progress_});
}

}  // namespace assay
