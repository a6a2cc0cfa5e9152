// SPDX-License-Identifier: GPL-3.0-or-later
// An Upstream, and the keys of the agent's own SVID, whose calls are counted and timed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/identity_keys.h"
#include "agent/metrics.h"
#include "base/clock.h"
#include "upstream/upstream.h"

namespace assay {

// Thread-safe.
class MeasuredUpstream final : public Upstream {
 public:
  // The metrics and the clock must outlive it. on_svid is told of the agent's SVID whenever it
  // changes, on whatever thread it is.
  using OnSvid = std::function<void(const std::optional<X509Svid>& svid)>;
  MeasuredUpstream(std::unique_ptr<Upstream> upstream, Metrics& metrics, const Clock& clock,
                   OnSvid on_svid)
      : upstream_(std::move(upstream)),
        metrics_(metrics),
        clock_(clock),
        on_svid_(std::move(on_svid)) {}

  absl::StatusOr<TrustBundle> FetchBundle() override;
  absl::StatusOr<TrustBundle> FetchFederatedBundle(const TrustDomain& trust_domain) override;
  absl::StatusOr<std::optional<uint64_t>> FetchSequenceNumber(
      const TrustDomain& trust_domain) override;
  absl::StatusOr<AttestationResult> Attest(NodeAttestor& attestor, const crypto::Signer& key,
                                           absl::Duration patience) override;
  absl::StatusOr<AttestationResult> Renew(const crypto::Signer& key) override;
  absl::Status Sync(EntrySink& sink) override;
  absl::StatusOr<std::vector<SvidResult>> SignX509Svids(
      const std::vector<SvidRequest>& requests) override;
  absl::StatusOr<MintedJwtSvid> MintJwtSvid(const std::string& entry_id,
                                            const std::vector<std::string>& audience) override;
  absl::Status PostStatus(std::string_view version) override {
    return upstream_->PostStatus(version);
  }
  void SetBundle(const TrustBundle& bundle) override { upstream_->SetBundle(bundle); }
  void SetSvid(std::optional<X509Svid> svid) override {
    on_svid_(svid);
    upstream_->SetSvid(std::move(svid));
  }

 private:
  template <typename Call>
  auto Measure(const Metric& metric, const Call& call);

  const std::unique_ptr<Upstream> upstream_;
  Metrics& metrics_;
  const Clock& clock_;
  const OnSvid on_svid_;
};

// As its keys. The metrics and the clock must outlive it.
std::unique_ptr<AgentKeys> MakeMeasuredKeys(std::unique_ptr<AgentKeys> keys, Metrics& metrics,
                                            const Clock& clock);

}  // namespace assay
