// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_node.h"

#include <utility>

#include "base/log.h"
#include "spiffe/x509_svid.h"

namespace assay {
namespace {

constexpr std::string_view kSubsystem = "attestor";
constexpr absl::Duration kLeastLifeLeft = absl::Seconds(1);
// Nothing else is to be done before the node is attested; later, syncs and renewals wait for it.
constexpr absl::Duration kFirstPatience = absl::Minutes(15);
constexpr absl::Duration kLaterPatience = absl::Minutes(1);

NodeFacts FactsOf(SpiffeId id, const AgentSvid& svid) {
  const crypto::Certificate& leaf = svid.chain.front();
  return {.id = std::move(id),
          .validity = {leaf.not_before(), leaf.not_after()},
          .reattestable = svid.reattestable,
          .authority_key_id = svid.chain.back().authority_key_id()};
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
  const std::string domain = options_.trust_domain.IdString();
  if (!state.bundle.empty()) {
    bundle_ = BundleOf(options_.trust_domain, state.bundle);
    bundle_fetched_ = true;
  } else {
    bundle_ = options_.bootstrap_bundle;
  }
  if (bundle_.has_value()) {
    upstream_.SetBundle(*bundle_);
    log::Info("Bundle loaded", {{"subsystem_name", kSubsystem}, {"trust_domain_id", domain}});
  } else {
    log::Warn("Insecure bootstrap enabled; skipping server certificate verification",
              {{"subsystem_name", kSubsystem}, {"trust_domain_id", domain}});
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
  Present(*id);
  return FactsOf(*id, *svid_);
}

absl::StatusOr<NodeFacts> NodeIdentity::Attest() {
  if (attestor_ == nullptr) {
    absl::StatusOr<std::unique_ptr<NodeAttestor>> made = options_.make_attestor();
    if (absl::IsPermissionDenied(made.status())) {
      // Of a file, not of the upstream.
      return FailedPrecondition("{}", Message(made.status()));
    }
    RETURN_IF_ERROR(made.status());
    attestor_ = *std::move(made);
  }
  log::Info(
      svid_.has_value() ? "Starting node re-attestation"
                        : "SVID is not found. Starting node attestation",
      {{"subsystem_name", kSubsystem}, {"trust_domain_id", options_.trust_domain.IdString()}});
  ASSIGN_OR_RETURN(const std::shared_ptr<const crypto::Signer> key, disk_.keys().Generate());
  const absl::Duration patience = svid_.has_value() ? kLaterPatience : kFirstPatience;
  ASSIGN_OR_RETURN(AttestationResult result, upstream_.Attest(*attestor_, *key, patience));
  const bool reattestable = result.reattestable;
  const std::string id = result.id.ToString();
  if (!bundle_fetched_) {
    // While the connection is still without a certificate. One to begin with lasts until the first
    // sync; without any, nothing that comes later could be verified.
    const absl::StatusOr<TrustBundle> bundle = upstream_.FetchBundle();
    if (bundle.ok()) {
      SetBundle(*bundle);
    } else if (!bundle_.has_value()) {
      return WithContext(bundle.status(), "fetching the trust bundle after attestation");
    }
  }
  ASSIGN_OR_RETURN(NodeFacts facts, Take(std::move(result), key));
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

absl::StatusOr<NodeFacts> NodeIdentity::Renew() {
  ASSIGN_OR_RETURN(const std::shared_ptr<const crypto::Signer> key, disk_.keys().Generate());
  ASSIGN_OR_RETURN(AttestationResult result, upstream_.Renew(*key));
  result.reattestable = svid_.has_value() && svid_->reattestable;
  return Take(std::move(result), key);
}

absl::StatusOr<NodeFacts> NodeIdentity::Take(AttestationResult result,
                                             std::shared_ptr<const crypto::Signer> key) {
  if (result.chain.empty()) {
    return Internal("the upstream gave the agent an empty chain");
  }
  const crypto::Certificate& leaf = result.chain.front();
  RETURN_IF_ERROR(CheckFresh({leaf.not_before(), leaf.not_after()}, clock_.Now()));
  svid_ = {
      .chain = std::move(result.chain), .key = std::move(key), .reattestable = result.reattestable};
  // Before it is used: from then on the upstream refuses the one on disk.
  if (absl::Status saved = Save(); !saved.ok()) {
    log::Error("Saving the agent's SVID failed: a restart will need a new attestation",
               {{"error", saved}, {"subsystem_name", kSubsystem}});
  }
  Present(result.id);
  return FactsOf(std::move(result.id), *svid_);
}

void NodeIdentity::Present(const SpiffeId& id) {
  upstream_.SetSvid(X509Svid{.id = id, .chain = svid_->chain, .key = svid_->key});
}

void NodeIdentity::Forget() {
  svid_.reset();
  upstream_.SetSvid(std::nullopt);
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

absl::Status NodeIdentity::Save() {
  return disk_.Save(
      {.svid = svid_,
       .bundle = bundle_.has_value() ? bundle_->Roots() : std::vector<crypto::Certificate>()});
}

}  // namespace assay
