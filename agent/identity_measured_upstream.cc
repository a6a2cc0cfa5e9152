// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_measured_upstream.h"

#include <utility>

namespace assay {
namespace {

const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

class MeasuredKeys final : public AgentKeys {
 public:
  MeasuredKeys(std::unique_ptr<AgentKeys> keys, Metrics& metrics, const Clock& clock)
      : keys_(std::move(keys)), metrics_(metrics), clock_(clock) {}

  absl::StatusOr<std::shared_ptr<const crypto::Signer>> Generate() override {
    const absl::Duration begin = clock_.SinceBoot();
    auto key = keys_->Generate();
    metrics_.NoteCall(metrics::kGenerateKey, key.status(), clock_.SinceBoot() - begin);
    return key;
  }
  absl::StatusOr<std::shared_ptr<const crypto::Signer>> Load(
      const crypto::PublicKey& key) override {
    const absl::Duration begin = clock_.SinceBoot();
    auto found = keys_->Load(key);
    metrics_.NoteCall(metrics::kGetKey, found.status(), clock_.SinceBoot() - begin);
    return found;
  }
  absl::Status Keep(const crypto::PublicKey& key) override { return keys_->Keep(key); }
  absl::Status Retain(const crypto::PublicKey* key) override { return keys_->Retain(key); }

 private:
  const std::unique_ptr<AgentKeys> keys_;
  Metrics& metrics_;
  const Clock& clock_;
};

}  // namespace

template <typename Call>
auto MeasuredUpstream::Measure(const Metric& metric, const Call& call) {
  const absl::Duration begin = clock_.SinceBoot();
  auto result = call();
  metrics_.NoteUpstreamCall(metric, StatusOf(result), clock_.SinceBoot() - begin);
  return result;
}

absl::StatusOr<TrustBundle> MeasuredUpstream::FetchBundle() {
  return Measure(metrics::kFetchBundle, [&] { return upstream_->FetchBundle(); });
}

absl::StatusOr<TrustBundle> MeasuredUpstream::FetchFederatedBundle(
    const TrustDomain& trust_domain) {
  return Measure(metrics::kFetchBundle,
                 [&] { return upstream_->FetchFederatedBundle(trust_domain); });
}

absl::StatusOr<std::optional<uint64_t>> MeasuredUpstream::FetchSequenceNumber(
    const TrustDomain& trust_domain) {
  return Measure(metrics::kFetchBundle,
                 [&] { return upstream_->FetchSequenceNumber(trust_domain); });
}

absl::StatusOr<AttestationResult> MeasuredUpstream::Attest(NodeAttestor& attestor,
                                                           const crypto::Signer& key,
                                                           absl::Duration patience) {
  return Measure(metrics::kAttestNode, [&] { return upstream_->Attest(attestor, key, patience); });
}

absl::StatusOr<AttestationResult> MeasuredUpstream::Renew(const crypto::Signer& key) {
  return Measure(metrics::kRotateAgentSvid, [&] { return upstream_->Renew(key); });
}

absl::Status MeasuredUpstream::Sync(EntrySink& sink) {
  return Measure(metrics::kFetchEntries, [&] { return upstream_->Sync(sink); });
}

absl::StatusOr<std::vector<SvidResult>> MeasuredUpstream::SignX509Svids(
    const std::vector<SvidRequest>& requests) {
  return Measure(metrics::kFetchSvids, [&] { return upstream_->SignX509Svids(requests); });
}

absl::StatusOr<MintedJwtSvid> MeasuredUpstream::MintJwtSvid(
    const std::string& entry_id, const std::vector<std::string>& audience) {
  return Measure(metrics::kMintJwtSvid, [&] { return upstream_->MintJwtSvid(entry_id, audience); });
}

std::unique_ptr<AgentKeys> MakeMeasuredKeys(std::unique_ptr<AgentKeys> keys, Metrics& metrics,
                                            const Clock& clock) {
  return std::make_unique<MeasuredKeys>(std::move(keys), metrics, clock);
}

}  // namespace assay
