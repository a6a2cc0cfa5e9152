// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_bootstrap.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/config_bootstrap.h"
#include "base/files.h"
#include "base/http_fetch.h"
#include "base/log.h"
#include "spiffe/workload.grpc.pb.h"

namespace assay {
namespace {

constexpr std::string_view kSubsystem = "attestor";
constexpr std::chrono::minutes kWorkloadApiTimeout(1);
constexpr int kMaxWorkloadApiBytes = 16 << 20;

std::string Iso(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%SZ", time, absl::UTCTimeZone());
}

void LogAttempt(const BootstrapAttempt& attempt) {
  log::Info(fmt::format("Server {} attempt {}. Started {}.",
                        attempt.again ? "reattestation" : "attestation", attempt.number,
                        Iso(attempt.since)),
            {{"subsystem_name", kSubsystem}});
}

// What tells a local server of bundles who asks, and why.
std::string WithAttempt(std::string url, const BootstrapAttempt& attempt,
                        const BootstrapSource::Options& options) {
  url.erase(std::min(url.find('#'), url.size()));
  const auto add = [&url](std::string_view name, std::string_view value) {
    url +=
        fmt::format("{}{}={}", url.find('?') == url.npos ? '?' : '&', name, PercentEncode(value));
  };
  add("spire-attest-mode", attempt.again ? "rebootstrap" : "bootstrap");
  add("spire-connection-attempts", std::to_string(attempt.number));
  add("spire-attest-start-time", Iso(attempt.since));
  add("spire-server-address", options.server_address);
  add("spire-server-port", std::to_string(options.server_port));
  add("spiffe-trust-domain", options.trust_domain.name());
  return url;
}

absl::StatusOr<TrustBundle> Parse(const BootstrapSource::Options& options, std::string_view text) {
  return options.format == BundleFormat::kPem ? ParsePemBundle(options.trust_domain, text)
                                              : ParseBundleDocument(options.trust_domain, text);
}

}  // namespace

absl::StatusOr<std::optional<TrustBundle>> BootstrapSource::Fetch(
    const BootstrapAttempt& attempt) const {
  absl::StatusOr<TrustBundle> bundle = Internal("no bundle");
  if (!options_.workload_api.empty()) {
    LogAttempt(attempt);
    bundle = FetchFromWorkloadApi();
    RETURN_IF_ERROR(bundle.status());
  } else if (!options_.url.empty()) {
    LogAttempt(attempt);
    ASSIGN_OR_RETURN(const std::string text, Download(attempt));
    bundle = Parse(options_, text);
    RETURN_IF_ERROR(WithContext(bundle.status(), fmt::format("trust bundle {}", options_.url)));
  } else if (!options_.path.empty()) {
    const absl::StatusOr<std::string> text = ReadFile(options_.path);
    RETURN_IF_ERROR(WithContext(text.status(), "could not parse trust bundle"));
    bundle = Parse(options_, *text);
    RETURN_IF_ERROR(WithContext(bundle.status(), fmt::format("trust bundle {}", options_.path)));
  } else {
    return std::nullopt;
  }
  if (bundle->x509_authorities.empty()) {
    return InvalidArgument("no certificates found in trust bundle");
  }
  return *std::move(bundle);
}

absl::StatusOr<std::string> BootstrapSource::Download(const BootstrapAttempt& attempt) const {
  HttpRequest request{.url = options_.url, .unix_socket = options_.unix_socket};
  if (!request.unix_socket.empty()) {
    request.url = WithAttempt(std::move(request.url), attempt, options_);
  }
  log::Debug(
      "Fetching the trust bundle",
      {{"subsystem_name", kSubsystem}, {"unix_socket", request.unix_socket}, {"url", request.url}});
  return FetchHttp(request);
}

absl::StatusOr<TrustBundle> BootstrapSource::FetchFromWorkloadApi() const {
  log::Debug("Fetching the trust bundle",
             {{"subsystem_name", kSubsystem}, {"workload_api", options_.workload_api}});
  ASSIGN_OR_RETURN(const std::string target, WorkloadApiTarget(options_.workload_api));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxWorkloadApiBytes);
  const auto stub = SpiffeWorkloadAPI::NewStub(
      grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext context;
  context.AddMetadata("workload.spiffe.io", "true");
  context.set_deadline(std::chrono::system_clock::now() + kWorkloadApiTimeout);
  const auto reader = stub->FetchX509Bundles(&context, X509BundlesRequest());
  X509BundlesResponse response;
  if (!reader->Read(&response)) {
    return Unavailable("unable to fetch trust bundle from SPIFFE Workload API {}: {}",
                       options_.workload_api, reader->Finish().error_message());
  }
  context.TryCancel();
  static_cast<void>(reader->Finish());
  const auto at = response.bundles().find(options_.trust_domain.IdString());
  if (at == response.bundles().end()) {
    return Unavailable("SPIFFE Workload API {} did not provide a trust bundle for trust domain {}",
                       options_.workload_api, options_.trust_domain.name());
  }
  auto certificates = crypto::Certificate::ParseConcatenated(at->second);
  RETURN_IF_ERROR(WithContext(certificates.status(),
                              fmt::format("SPIFFE Workload API {}", options_.workload_api)));
  TrustBundle bundle{.trust_domain = options_.trust_domain,
                     .x509_authorities = {},
                     .jwt_authorities = {},
                     .sequence_number = {},
                     .refresh_hint = {}};
  for (crypto::Certificate& certificate : *certificates) {
    bundle.x509_authorities.push_back({std::move(certificate), false});
  }
  return bundle;
}

}  // namespace assay
