// SPDX-License-Identifier: GPL-3.0-or-later
// The node's own identity: how it is proved to the upstream, renewed, kept on disk, and forgotten.
// Its calls block. Owned by the thread that syncs; not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/identity_bootstrap.h"
#include "agent/identity_disk.h"
#include "agent/identity_timing.h"
#include "attestors/node/node_attestor.h"
#include "base/clock.h"
#include "base/status.h"
#include "spiffe/trust_bundle.h"
#include "upstream/upstream.h"

namespace assay {

// What the identity thread needs to know of the agent's SVID.
struct NodeFacts {
  SpiffeId id;
  Validity validity;
  bool reattestable = false;
  std::string authority_key_id;  // Of the authority above its chain.
  std::string chain;             // DER certificates, leaf first.
};

class NodeIdentity final {
 public:
  // Makes the attestor when it is first needed: that may open files or the TPM.
  using MakeAttestor = std::function<absl::StatusOr<std::unique_ptr<NodeAttestor>>()>;
  // The bundle for the first contact; nothing: any upstream is trusted then.
  using FetchBootstrap =
      std::function<absl::StatusOr<std::optional<TrustBundle>>(const BootstrapAttempt&)>;

  struct Options {
    TrustDomain trust_domain;
    FetchBootstrap fetch_bootstrap;
    // How long the upstream must not be what the known bundle trusts before the bootstrap bundle is
    // asked instead; nothing: for ever.
    std::optional<absl::Duration> rebootstrap_after;
    bool keys_in_memory = false;
    MakeAttestor make_attestor;
  };
  // By which bundle the upstream is verified: the known one, if there is, or that of the bootstrap
  // source.
  enum class Trust { kKnown, kAnew };

  // The upstream, the disk and the clock must outlive it.
  NodeIdentity(Options options, Upstream& upstream, AgentDisk& disk, const Clock& clock)
      : options_(std::move(options)), upstream_(upstream), disk_(disk), clock_(clock) {}

  // Takes up what is on disk: the bundle, and the SVID when it is still valid. Its facts, or
  // nothing when the node has to be attested.
  absl::StatusOr<std::optional<NodeFacts>> Load();
  // Node attestation with a new key. When it fails all is as it was.
  absl::StatusOr<NodeFacts> Attest(Trust trust = Trust::kKnown);
  // A new SVID over the old one.
  absl::StatusOr<NodeFacts> Renew();
  // Makes the attestor anew for the next attestation: what it is made of has changed.
  void DropAttestor() { attestor_.reset(); }
  // Removes the SVID, from disk too.
  void Forget();

  // What the upstream says is trusted now; kept when it is new.
  void SetBundle(const TrustBundle& bundle);

  // The upstream is not what the bundle trusts: notes since when, and says how long until
  // attestation by the bootstrap bundle is called for.
  absl::Duration UntilRebootstrap();
  // It is again.
  void NoteTrusted();

 private:
  struct Attested {
    AttestationResult result;
    std::shared_ptr<const crypto::Signer> key;
  };

  absl::Status PrepareAttestor();
  absl::StatusOr<Attested> CallAttest();
  absl::StatusOr<NodeFacts> AttestByKnown();
  absl::StatusOr<NodeFacts> AttestByBootstrap();
  absl::StatusOr<NodeFacts> AttestFrom(const std::optional<TrustBundle>& bootstrap);
  NodeFacts TakeAttested(Attested attested);
  absl::Status RefreshTrust(const std::vector<crypto::Certificate>& chain);
  NodeFacts Take(Attested attested);
  // To the upstream, in later handshakes.
  void Present();
  void NoteUntrusted();
  void SaveProgress();
  absl::Status Save();

  const Options options_;
  Upstream& upstream_;
  AgentDisk& disk_;
  const Clock& clock_;
  std::unique_ptr<NodeAttestor> attestor_;
  std::optional<TrustBundle> bundle_;
  bool bundle_fetched_ = false;  // From the upstream itself, by this process or one before.
  std::optional<AgentSvid> svid_;
  std::optional<SpiffeId> id_;  // Of the SVID.
  BootstrapProgress progress_;
};

}  // namespace assay
