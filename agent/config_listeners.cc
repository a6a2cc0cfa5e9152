// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_listeners.h"

#include <absl/strings/ascii.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <string_view>

#include "spiffe/spiffe_id.h"

namespace assay {
namespace {

constexpr std::string_view kPrometheusAlone = "metrics are told to Prometheus alone";

bool IsAddress(const std::string& host) {
  in6_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

// An empty address is the default, and IPv6 may have its brackets, as with spire-agent. No name is
// looked up: who resolves them may not answer yet when the machine starts.
OptionReader HostInto(std::string& field) {
  return {[&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            std::string host;
            Into(host)(value, path, report);
            if (host.starts_with('[') && host.ends_with(']')) {
              host = host.substr(1, host.size() - 2);
            }
            if (!host.empty() && host != "localhost" && !IsAddress(host)) {
              report.AddError(value.position,
                              fmt::format("{} must be an IP address or localhost", path));
            } else if (!host.empty()) {
              field = host;
            }
          },
          {.kind = "text", .initial = field}};
}

// Of a URL; an empty one is the default.
OptionReader PathInto(std::string& field) {
  return {[&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            std::string read;
            Into(read)(value, path, report);
            if (!read.empty() && !read.starts_with('/')) {
              report.AddError(value.position, fmt::format("{} must begin with a slash", path));
            } else if (!read.empty()) {
              field = read;
            }
          },
          {.kind = "text", .initial = field}};
}

// What metrics are called by; an empty one is the default.
OptionReader NameInto(std::string& field) {
  return {[&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            std::string read;
            Into(read)(value, path, report);
            const auto is_part = [](char c) {
              return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
            };
            if (!std::all_of(read.begin(), read.end(), is_part) ||
                (!read.empty() && absl::ascii_isdigit(static_cast<unsigned char>(read[0])))) {
              report.AddError(value.position,
                              fmt::format("{} must be of letters, digits and underscores", path));
            } else if (!read.empty()) {
              field = read;
            }
          },
          {.kind = "text", .initial = field}};
}

OptionTable PrometheusTlsOptions(PrometheusConfig::Tls& tls) {
  return {
      {"cert_file", Into(tls.cert_file),
       "PEM file of the certificate that is shown, and of what is between it and its root."},
      {"key_file", Into(tls.key_file), "PEM file of its key."},
      {"use_spire_svid", Into(tls.use_spire_svid), "Whether to show the agent's SVID instead."},
      {"client_ca_file", Into(tls.client_ca_file),
       "PEM file of the authorities of callers; absent: callers need no certificate."},
      {"authorized_spiffe_ids", Into(tls.authorized_spiffe_ids),
       "Callers that are answered, by the trust bundles that the agent knows."},
  };
}

OptionTable PrometheusOptions(PrometheusConfig& prometheus) {
  return {
      {"host", HostInto(prometheus.host), "Its IP address, or `localhost`."},
      {"port", Into(prometheus.port), "Its port."},
      {"tls", Section(PrometheusTlsOptions(prometheus.tls), prometheus.tls.enabled), "TLS 1.3."},
  };
}

}  // namespace

OptionTable HealthOptions(HealthConfig& health) {
  return {
      {"listener_enabled", Into(health.listener_enabled), "Health over HTTP."},
      {"bind_address", HostInto(health.bind_address), "Its IP address, or `localhost`."},
      {"bind_port", Into(health.bind_port), "Its port."},
      {"live_path", PathInto(health.live_path), "Its path for liveness."},
      {"ready_path", PathInto(health.ready_path), "Its path for readiness."},
  };
}

OptionTable TelemetryOptions(TelemetryConfig& telemetry) {
  PrometheusConfig& prometheus = telemetry.prometheus;
  return {
      {"Prometheus", Section(PrometheusOptions(prometheus), prometheus.enabled),
       "Metrics for Prometheus, over HTTP, at any path."},
      {"DogStatsd", NotSupported(), "Metrics to DogStatsd."},
      {"Statsd", NotSupported(), "Metrics to Statsd."},
      {"M3", NotSupported(), "Metrics to M3."},
      {"InMem", WithoutEffect(kPrometheusAlone), "Metrics in memory."},
      {"MetricPrefix", NameInto(telemetry.metric_prefix), "What each metric's name begins with."},
      {"EnableTrustDomainLabel", Into(telemetry.enable_trust_domain_label),
       "Label `trust_domain` on each metric."},
      {"EnableHostnameLabel", Into(telemetry.enable_hostname_label), "Label `host` on each."},
      {"AllowedPrefixes", Into(telemetry.allowed_prefixes),
       "What is told: `spire_agent.workload_api`; of those that fit the longest decides."},
      {"BlockedPrefixes", Into(telemetry.blocked_prefixes), "What is not."},
      {"AllowedLabels", Into(telemetry.allowed_labels), "The only labels; empty: all."},
      {"BlockedLabels", Into(telemetry.blocked_labels), "Labels left out."},
  };
}

namespace {

void CheckTls(const PrometheusConfig::Tls& tls, ConfigReport& report) {
  constexpr std::string_view kBlock = "telemetry.Prometheus.tls";
  const bool has_files = !tls.cert_file.empty() || !tls.key_file.empty();
  if (tls.use_spire_svid && has_files) {
    report.AddError(
        fmt::format("{}: use_spire_svid leaves no use for cert_file and key_file", kBlock));
  } else if (!tls.use_spire_svid && (tls.cert_file.empty() || tls.key_file.empty())) {
    report.AddError(
        fmt::format("{}: cert_file and key_file must be configured, or use_spire_svid", kBlock));
  }
  if (!tls.client_ca_file.empty() && !tls.authorized_spiffe_ids.empty()) {
    report.AddError(fmt::format(
        "{}: only one of client_ca_file and authorized_spiffe_ids can be configured", kBlock));
  }
  for (const std::string& text : tls.authorized_spiffe_ids) {
    if (const auto id = SpiffeId::Parse(text); !id.ok()) {
      report.AddError(fmt::format("{}.authorized_spiffe_ids: {}", kBlock, Message(id.status())));
    }
  }
}

}  // namespace

void CheckListeners(const AgentConfig& config, ConfigReport& report) {
  const HealthConfig& health = config.health;
  if (health.listener_enabled && health.live_path == health.ready_path) {
    report.AddError("health_checks: live_path and ready_path must differ");
  }
  const PrometheusConfig& prometheus = config.telemetry.prometheus;
  if (prometheus.enabled && prometheus.port == 0) {
    report.AddError("telemetry.Prometheus.port must be configured");
  }
  if (prometheus.tls.enabled) {
    CheckTls(prometheus.tls, report);
  }
}

}  // namespace assay
