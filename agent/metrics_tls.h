// SPDX-License-Identifier: GPL-3.0-or-later
// TLS of the metrics: whom the agent shows itself as, and whom it tells them. Files are read and
// callers judged on the exporter's thread alone; what the identity thread sets it never waits for.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/config.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "crypto/tls.h"
#include "spiffe/trust_bundle.h"
#include "spiffe/x509_svid.h"

namespace assay {

class MetricsTls final {
 public:
  // The clock must outlive it.
  MetricsTls(PrometheusConfig::Tls config, const Clock& clock);

  // The agent's own SVID as it is now, for use_spire_svid. Any thread.
  void SetSvid(const std::optional<X509Svid>& svid);
  // The trust bundles that the agent knows, by trust domain: those of authorized_spiffe_ids count.
  // Any thread.
  void SetBundles(const std::map<std::string, TrustBundle>& bundles);

  // For a new connection: files are read anew where they were last read a while ago. Unavailable
  // while there is nothing to show; else what is wrong with the files, which is logged once. The
  // exporter's thread, and the options' verifier too.
  absl::StatusOr<crypto::TlsConnection::ServerOptions> Options();
  bool needs_client_certificate() const {
    return !config_.client_ca_file.empty() || !config_.authorized_spiffe_ids.empty();
  }

 private:
  using Bundles = std::map<std::string, TrustBundle>;
  struct Files {
    crypto::TlsIdentity identity;
    std::vector<crypto::Certificate> client_cas;
  };

  absl::StatusOr<Files> ReadFiles() const;
  absl::Status RefreshFiles();
  absl::Status CheckAuthorized(const std::vector<crypto::Certificate>& chain) const;

  const PrometheusConfig::Tls config_;
  const Clock& clock_;
  std::set<SpiffeId> authorized_;
  std::optional<Files> files_;  // As they were last right. These three are the exporter thread's.
  absl::Duration files_read_ = -absl::InfiniteDuration();  // Since boot.
  absl::Status files_error_;                               // Of the last time.
  mutable Mutex mutex_;                                    // Held to copy pointers alone.
  std::shared_ptr<const X509Svid> svid_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Bundles> bundles_ ABSL_GUARDED_BY(mutex_) = std::make_shared<Bundles>();
};

}  // namespace assay
