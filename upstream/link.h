// SPDX-License-Identifier: GPL-3.0-or-later
// The one owner of the way to the upstream: a TLS tunnel and the gRPC channel inside it, made when
// a call needs them and again after they are lost or the agent's SVID changes. Of several hosts the
// first that answers and is trusted is used; one that failed goes behind the others for two
// minutes. Thread-safe; calls that connect block.
#pragma once

#include <grpcpp/channel.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "spiffe/trust_bundle.h"
#include "spiffe/x509_svid.h"
#include "upstream/tunnel.h"
#include "upstream/upstream.h"

namespace assay {

class Link final {
 public:
  // Ends when its last user lets it go.
  struct Connection {
    std::shared_ptr<grpc::Channel> channel;
    std::shared_ptr<Tunnel> tunnel;
    size_t host = 0;  // Which of the options' addresses.
  };
  using SharedConnection = std::shared_ptr<const Connection>;
  struct Lease {
    SharedConnection connection;
    bool fresh;  // Made for this lease, so that a failure on it is no old connection's.
  };

  // The clock must outlive it.
  Link(UpstreamOptions options, const Clock& clock);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // The connection with the agent's SVID, or without one when there is none. Of several callers one
  // connects, and the others share what becomes of it. The deadline is since boot; Unavailable when
  // it comes first. Only a resolver that hangs may outlast it.
  absl::StatusOr<Lease> Get(absl::Duration deadline);
  // A connection of the caller's own, without a certificate.
  absl::StatusOr<SharedConnection> ConnectAnonymously();
  // Later calls shall not use this connection; nor its host, where there are others, when the host
  // has failed.
  void Drop(const SharedConnection& connection, bool host_failed);
  size_t hosts() const { return options_.addresses.size(); }
  // The status of a call on a connection, with TLS's own words where that is what failed.
  absl::Status Explain(const SharedConnection& connection, const absl::Status& status) const;

  void SetBundle(const TrustBundle& bundle);
  void SetSvid(std::optional<X509Svid> svid);
  // The SPIFFE ID of the SVID in use.
  std::optional<SpiffeId> own_id() const;

 private:
  // What a handshake is made with.
  struct Plan {
    std::shared_ptr<const crypto::TlsIdentity> identity;
    std::shared_ptr<const TrustBundle> bundle;
    uint64_t generation = 0;
    absl::Duration deadline = absl::InfiniteDuration();  // Since boot.
  };

  absl::StatusOr<TunnelThread*> Thread();
  absl::StatusOr<SharedConnection> Connect(Plan plan);
  absl::StatusOr<SharedConnection> ConnectTo(size_t host, const Plan& plan);
  absl::StatusOr<SharedConnection> Tunneled(size_t host, UniqueFd network, const Plan& plan);
  std::vector<size_t> HostsInOrder() const;
  void NoteHost(size_t host, bool failed);
  std::string NameOf(size_t host) const;
  crypto::ChainVerifier VerifierFor(std::shared_ptr<const TrustBundle> bundle) const;

  const UpstreamOptions options_;
  const Clock& clock_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::unique_ptr<TunnelThread> thread_ ABSL_GUARDED_BY(mutex_);
  Plan plan_ ABSL_GUARDED_BY(mutex_);
  std::optional<SpiffeId> own_id_ ABSL_GUARDED_BY(mutex_);
  // Since boot; by the host.
  std::vector<absl::Duration> failed_at_ ABSL_GUARDED_BY(mutex_);
  SharedConnection current_ ABSL_GUARDED_BY(mutex_);
  bool connecting_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t failures_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status last_failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace assay
