// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_bootstrap.h"

#include <arpa/inet.h>

#include <charconv>
#include <string_view>
#include <vector>

#include "base/http_fetch.h"

namespace assay {
namespace {

constexpr int kMostPort = 65535;

// At most one of the ways can be meant.
void CheckOneWay(const AgentConfig& config, ConfigReport& report) {
  std::vector<std::string_view> ways;
  const auto add = [&ways](bool is_set, std::string_view name) {
    if (is_set) {
      ways.push_back(name);
    }
  };
  add(config.insecure_bootstrap, "insecure_bootstrap");
  add(!config.trust_bundle_url.empty(), "trust_bundle_url");
  add(!config.trust_bundle_path.empty(), "trust_bundle_path");
  add(!config.trust_bundle_spiffe_workload_api.empty(), "trust_bundle_spiffe_workload_api");
  if (ways.empty()) {
    report.AddError(
        "trust_bundle_path, trust_bundle_url, or trust_bundle_spiffe_workload_api must be "
        "configured unless insecure_bootstrap is set");
  } else if (ways.size() == 2) {
    report.AddError(
        fmt::format("only one of {} or {} can be specified, not both", ways[0], ways[1]));
  } else if (ways.size() > 2) {
    report.AddError(fmt::format("only one of {} can be specified", fmt::join(ways, ", ")));
  }
}

// The agent adds parameters of its own.
void CheckQuery(std::string_view query, ConfigReport& report) {
  for (const std::string_view prefix : {"spiffe-", "spire-"}) {
    for (size_t at = 0; at < query.size();) {
      if (query.substr(at).starts_with(prefix)) {
        report.AddError(fmt::format("trust_bundle_url query params can not start with {}", prefix));
        break;
      }
      const size_t next = query.find('&', at);
      at = next == query.npos ? query.size() : next + 1;
    }
  }
}

void CheckUrl(const AgentConfig& config, ConfigReport& report) {
  const bool by_socket = !config.trust_bundle_unix_socket.empty();
  if (config.trust_bundle_url.empty()) {
    if (by_socket) {
      report.AddError("if trust_bundle_unix_socket is specified, so must be trust_bundle_url");
    }
    return;
  }
  const absl::StatusOr<UrlParts> url = ParseUrl(config.trust_bundle_url);
  if (!url.ok()) {
    report.AddError(fmt::format("unable to parse trust bundle URL: {}", Message(url.status())));
  } else if (by_socket && url->scheme != "http") {
    report.AddError(
        "trust bundle URL must start with http:// when used with trust bundle unix socket");
  } else if (by_socket) {
    CheckQuery(url->query, report);
  } else if (url->scheme != "https") {
    report.AddError("trust bundle URL must start with https://");
  }
}

// "1.2.3.4:80" or "[::1]:80" as gRPC writes it.
absl::StatusOr<std::string> TcpTarget(std::string_view endpoint, const std::string& address) {
  const size_t colon = endpoint.rfind(':');
  const std::string_view port = colon == endpoint.npos ? "" : endpoint.substr(colon + 1);
  std::string host(endpoint.substr(0, colon == endpoint.npos ? 0 : colon));
  int number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size() || number < 1 ||
      number > kMostPort) {
    return InvalidArgument("{} has no port", Quoted(address));
  }
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  in6_addr six{};
  in_addr four{};
  if (bracketed && inet_pton(AF_INET6, host.c_str(), &six) == 1) {
    return fmt::format("ipv6:[{}]:{}", host, number);
  }
  if (!bracketed && inet_pton(AF_INET, host.c_str(), &four) == 1) {
    return fmt::format("ipv4:{}:{}", host, number);
  }
  return InvalidArgument("{} has no IP address", Quoted(address));
}

}  // namespace

absl::StatusOr<std::string> WorkloadApiTarget(const std::string& address) {
  std::string_view rest = address;
  const auto take = [&rest](std::string_view prefix) {
    const bool taken = rest.starts_with(prefix);
    rest.remove_prefix(taken ? prefix.size() : 0);
    return taken;
  };
  if (take("tcp://")) {
    return TcpTarget(rest, address);
  }
  if ((take("unix://") || take("unix:")) && rest.starts_with('/') && !rest.starts_with("//") &&
      rest.find_first_of("?#%") == rest.npos) {
    return fmt::format("unix:{}", rest);
  }
  return InvalidArgument("{} is neither unix:///PATH nor tcp://ADDRESS:PORT", Quoted(address));
}

void CheckBootstrap(const AgentConfig& config, ConfigReport& report) {
  CheckOneWay(config, report);
  CheckUrl(config, report);
  if (const std::string& address = config.trust_bundle_spiffe_workload_api; !address.empty()) {
    if (!config.trust_bundle_unix_socket.empty()) {
      report.AddError(
          "trust_bundle_unix_socket can not be used with trust_bundle_spiffe_workload_api");
    }
    if (const auto target = WorkloadApiTarget(address); !target.ok()) {
      report.AddError(fmt::format(
          "trust_bundle_spiffe_workload_api is not a valid SPIFFE Workload API endpoint address: "
          "{}",
          Message(target.status())));
    }
  }
  if (config.rebootstrap_mode != RebootstrapMode::kNever && config.insecure_bootstrap) {
    report.AddError("insecure_bootstrap option can not be used with rebootstrapping");
  }
}

}  // namespace assay
