// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/metrics_tls.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/files.h"
#include "base/log.h"
#include "base/secret.h"
#include "crypto/issue.h"
#include "crypto/path_validation.h"

namespace assay {
namespace {

constexpr absl::Duration kFilesServeFor = absl::Seconds(10);
constexpr size_t kMostFileBytes = 1 << 20;

// A certificate that says what it is for says that it is for clients.
absl::Status CheckSigned(const std::vector<crypto::Certificate>& chain,
                         const std::vector<crypto::Certificate>& cas, absl::Time now) {
  constexpr std::string_view kAnyPurpose = "2.5.29.37.0";
  const std::vector<std::string>& uses = chain.front().extended_key_usage();
  if (!uses.empty() && std::none_of(uses.begin(), uses.end(), [](const std::string& use) {
        return use == crypto::kClientAuth || use == kAnyPurpose;
      })) {
    return PermissionDenied("the caller's certificate is not for clients of TLS");
  }
  return crypto::VerifyPath(chain.front(), {chain.begin() + 1, chain.end()}, cas,
                            {.now = now, .tolerated_critical = {}});
}

}  // namespace

MetricsTls::MetricsTls(PrometheusConfig::Tls config, const Clock& clock)
    : config_(std::move(config)), clock_(clock) {
  for (const std::string& text : config_.authorized_spiffe_ids) {
    if (auto id = SpiffeId::Parse(text); id.ok()) {  // The configuration was checked.
      authorized_.insert(*std::move(id));
    }
  }
}

void MetricsTls::SetSvid(const std::optional<X509Svid>& svid) {
  std::shared_ptr<const X509Svid> copy =
      svid.has_value() ? std::make_shared<const X509Svid>(*svid) : nullptr;
  const MutexLock lock(mutex_);
  svid_.swap(copy);  // The old one goes when the lock has gone.
}

void MetricsTls::SetBundles(const std::map<std::string, TrustBundle>& bundles) {
  Bundles wanted;
  for (const SpiffeId& id : authorized_) {
    const std::string& name = id.trust_domain().name();
    if (const auto at = bundles.find(name); at != bundles.end()) {
      wanted.try_emplace(name, at->second);
    }
  }
  std::shared_ptr<const Bundles> copy = std::make_shared<const Bundles>(std::move(wanted));
  const MutexLock lock(mutex_);
  bundles_.swap(copy);
}

absl::StatusOr<MetricsTls::Files> MetricsTls::ReadFiles() const {
  Files files;
  if (!config_.use_spire_svid) {
    ASSIGN_OR_RETURN(const std::string chain, ReadFile(config_.cert_file, kMostFileBytes));
    ASSIGN_OR_RETURN(files.identity.chain, crypto::Certificate::ParsePem(chain));
    ASSIGN_OR_RETURN(const Secret key, ReadSecretFile(config_.key_file, kMostFileBytes));
    ASSIGN_OR_RETURN(files.identity.signer, crypto::PrivateKey::ParsePem(key));
    if (files.identity.chain.empty() ||
        !(files.identity.signer->public_key() == files.identity.chain.front().public_key())) {
      return FailedPrecondition("{} holds no key of the first certificate in {}", config_.key_file,
                                config_.cert_file);
    }
  }
  if (!config_.client_ca_file.empty()) {
    ASSIGN_OR_RETURN(const std::string pem, ReadFile(config_.client_ca_file, kMostFileBytes));
    ASSIGN_OR_RETURN(files.client_cas, crypto::Certificate::ParsePem(pem));
  }
  return files;
}

// What was read last serves on while the files are being replaced.
absl::Status MetricsTls::RefreshFiles() {
  const absl::Duration now = clock_.SinceBoot();
  if (now - files_read_ >= kFilesServeFor) {
    files_read_ = now;
    absl::StatusOr<Files> read = ReadFiles();
    if (!read.ok() && read.status() != files_error_) {
      log::Warn("Files of the metrics' TLS are not right",
                {{"error", read.status()},
                 {"former_ones_serve", files_.has_value()},
                 {"subsystem_name", "telemetry"}});
    }
    files_error_ = read.status();
    if (read.ok()) {
      files_ = *std::move(read);
    }
  }
  return files_.has_value() ? absl::OkStatus() : files_error_;
}

absl::Status MetricsTls::CheckAuthorized(const std::vector<crypto::Certificate>& chain) const {
  ASSIGN_OR_RETURN(const SpiffeId id, ParseLeafId(chain.front()));
  if (!authorized_.contains(id)) {
    return PermissionDenied("{} is not among authorized_spiffe_ids", id.ToString());
  }
  std::shared_ptr<const Bundles> bundles;
  {
    const MutexLock lock(mutex_);
    bundles = bundles_;
  }
  const auto bundle = bundles->find(id.trust_domain().name());
  if (bundle == bundles->end()) {
    return Unavailable("the trust bundle of {} is not known", id.trust_domain().name());
  }
  return VerifyX509Svid(chain, bundle->second, clock_.Now()).status();
}

absl::StatusOr<crypto::TlsConnection::ServerOptions> MetricsTls::Options() {
  RETURN_IF_ERROR(RefreshFiles());
  crypto::TlsConnection::ServerOptions options;
  options.protocol = crypto::TlsConnection::ServerOptions::Protocol::kHttp1;
  options.identity = files_->identity;
  if (config_.use_spire_svid) {
    std::shared_ptr<const X509Svid> svid;
    {
      const MutexLock lock(mutex_);
      svid = svid_;
    }
    if (svid == nullptr) {
      return Unavailable("the agent has no SVID yet");
    }
    options.identity = {.chain = svid->chain, .signer = svid->key};
  }
  options.verify_client = [this, cas = files_->client_cas](
                              const std::vector<crypto::Certificate>& chain) -> absl::Status {
    if (!config_.authorized_spiffe_ids.empty()) {
      return CheckAuthorized(chain);
    }
    // Without authorities nobody in particular may read them: a certificate is shown for nothing.
    return config_.client_ca_file.empty() ? absl::OkStatus()
                                          : CheckSigned(chain, cas, clock_.Now());
  };
  return options;
}

}  // namespace assay
