// SPDX-License-Identifier: GPL-3.0-or-later
// The upstream as the agent sees it: whatever speaks SPIRE Server's API. Calls block, have
// deadlines, and reconnect by themselves: one owner rebuilds the TLS
// tunnel and the gRPC channel after a drop or a rotation. The errors carry the upstream's code and
// words; a TLS failure is Unavailable with TLS's own words, an answer that is wrong Internal.
// Thread-safe.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attestors/node/node_attestor.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/status.h"
#include "crypto/tls.h"
#include "spiffe/registration_entry.h"
#include "spiffe/trust_bundle.h"
#include "spiffe/x509_svid.h"

namespace assay {

// Why the upstream refused an agent (spire.api.types.PermissionDeniedDetails).
enum class Refusal { kNone, kExpired, kNotAttested, kNotActive, kBanned, kMustReattest };
// The refusal that a status of a call carries, kNone when it is an ordinary error. Only what the
// upstream itself sent has one: none of our own errors does, nor one with context added.
Refusal RefusalOf(const absl::Status& status);

// Whether the upstream was not talked to since its certificate is of an authority that the bundle
// does not have.
bool IsUntrusted(const absl::Status& status);

struct AttestationResult {
  SpiffeId id;
  std::vector<crypto::Certificate> chain;  // Leaf first; checked against the key that was sent.
  bool reattestable = false;
};

// What changed since what the caller has.
struct EntryRevision {
  std::string id;
  int64_t revision_number = 0;
  int64_t created_at = 0;
};

// Says what the caller holds and takes what is new, page by page, during one sync. Called on the
// thread that called Sync.
class EntrySink {
 public:
  virtual ~EntrySink() = default;
  // Whether the caller's copy of this entry is missing or stale. Also marks the entry as seen.
  virtual bool NeedsEntry(const EntryRevision& revision) = 0;
  // A new or changed entry. Marks it as seen. Malformed ones never get here: they are logged.
  virtual void OnEntry(RegistrationEntry entry) = 0;
};

struct SvidRequest {
  std::string entry_id;
  std::string csr;  // DER
};
struct SvidResult {
  absl::Status status;
  std::vector<crypto::Certificate> chain;
};

// A JWT-SVID that the upstream signed, whose claims nobody here has checked.
struct MintedJwtSvid {
  SpiffeId id;
  Secret token;  // A bearer's: whoever has it is the workload.
  absl::Time issued_at, expires_at;
};

class Upstream {
 public:
  virtual ~Upstream() = default;

  // The whole bundle of the agent's own trust domain, over a connection without a certificate when
  // the agent has no SVID yet.
  virtual absl::StatusOr<TrustBundle> FetchBundle() = 0;
  virtual absl::StatusOr<TrustBundle> FetchFederatedBundle(const TrustDomain& trust_domain) = 0;
  // The number alone of the bundle of the own or a foreign trust domain; nothing when it has none.
  // It is another one whenever the bundle is, but where an operator set a bundle under the old one.
  virtual absl::StatusOr<std::optional<uint64_t>> FetchSequenceNumber(
      const TrustDomain& trust_domain) = 0;
  // Node attestation over a fresh connection without a certificate. An upstream makes the agents
  // behind one address wait for each other, a second each, so patience may be minutes.
  virtual absl::StatusOr<AttestationResult> Attest(NodeAttestor& attestor,
                                                   const crypto::Signer& key,
                                                   absl::Duration patience) = 0;
  virtual absl::StatusOr<AttestationResult> Renew(const crypto::Signer& key) = 0;
  // SyncAuthorizedEntries in its exact sequence, or all entries by GetAuthorizedEntries where the
  // upstream does not know that or the options say so. The entries not seen when this returns OK
  // are gone.
  virtual absl::Status Sync(EntrySink& sink) = 0;
  // 1 to 500 at a call; one result for each request, in order. Each chain was checked against the
  // key of its request, and against the URI in it, if there is one.
  virtual absl::StatusOr<std::vector<SvidResult>> SignX509Svids(
      const std::vector<SvidRequest>& requests) = 0;
  // A JWT-SVID of an entry for one audience or more.
  virtual absl::StatusOr<MintedJwtSvid> MintJwtSvid(const std::string& entry_id,
                                                    const std::vector<std::string>& audience) = 0;
  virtual absl::Status PostStatus(std::string_view version) = 0;

  // What later handshakes use: the bundle to verify the upstream by, and the agent's own SVID
  // (none: anonymous). Open connections are replaced when the SVID changes.
  virtual void SetBundle(const TrustBundle& bundle) = 0;
  virtual void SetSvid(std::optional<X509Svid> svid) = 0;
};

struct UpstreamOptions {
  // Host names or addresses: the first that can be connected to and is trusted is used, those that
  // failed lately last.
  std::vector<std::string> addresses;
  uint16_t port = 8081;
  TrustDomain trust_domain;
  bool use_sync_authorized_entries = true;
  // What an upstream may send in one sync: revisions and entries count each, and a large node gets
  // all of both in its first.
  size_t max_sync_items = 1'000'000;
  absl::Duration call_deadline = absl::Seconds(30);  // Of each but attestation; connecting counts.
  bool require_post_quantum = false;  // Of the key exchange (crypto::HasPostQuantum).
  // No bundle is known and the operator accepts that: the server's chain is not verified, only its
  // SPIFFE ID, until SetBundle is called.
  bool insecure_bootstrap = false;
};

// The clock must outlive it. Nothing is connected yet.
std::unique_ptr<Upstream> MakeUpstream(const UpstreamOptions& options, const Clock& clock);

}  // namespace assay
