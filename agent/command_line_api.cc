// SPDX-License-Identifier: GPL-3.0-or-later
// api fetch x509, api watch, healthcheck.
#include <absl/time/clock.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "agent/api_client.h"
#include "agent/command_line_command.h"
#include "agent/config.h"
#include "base/files.h"
#include "crypto/digest.h"
#include "crypto/pem.h"

namespace assay {
namespace {

constexpr absl::Duration kFirstRetry = absl::Seconds(1);
constexpr absl::Duration kLongestRetry = absl::Seconds(30);

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S +0000 UTC", time, absl::UTCTimeZone());
}

void PrintValidity(std::string_view what, const crypto::Certificate& certificate,
                   std::ostream& out) {
  out << fmt::format("{} Valid After:\t{}\n", what, TimeText(certificate.not_before()))
      << fmt::format("{} Valid Until:\t{}\n", what, TimeText(certificate.not_after()));
}

enum class Hints { kShown, kLeftOut };

void PrintPretty(const FetchedX509& fetched, absl::Duration after, Hints hints, std::ostream& out) {
  out << fmt::format("Received {} svid{} after {}\n\n", fetched.svids.size(),
                     fetched.svids.size() == 1 ? "" : "s", absl::FormatDuration(after));
  for (const FetchedSvid& svid : fetched.svids) {
    out << fmt::format("SPIFFE ID:\t\t{}\n", svid.spiffe_id);
    if (hints == Hints::kShown && !svid.hint.empty()) {
      out << fmt::format("Hint:\t\t\t{}\n", svid.hint);
    }
    PrintValidity("SVID", svid.chain.front(), out);
    for (size_t i = 1; i < svid.chain.size(); ++i) {
      PrintValidity(fmt::format("Intermediate #{}", i), svid.chain[i], out);
    }
    for (size_t i = 0; i < svid.bundle.size(); ++i) {
      PrintValidity(fmt::format("CA #{}", i + 1), svid.bundle[i], out);
    }
    for (const auto& [id, bundle] : fetched.federated) {
      for (size_t i = 0; i < bundle.size(); ++i) {
        PrintValidity(fmt::format("[{}] CA #{}", id, i + 1), bundle[i], out);
      }
    }
    out << "\n";
  }
  out.flush();
}

void PrintJson(const FetchedX509& fetched, std::ostream& out) {
  nlohmann::json svids = nlohmann::json::array();
  for (const FetchedSvid& svid : fetched.svids) {
    svids.push_back({{"spiffe_id", svid.spiffe_id},
                     {"hint", svid.hint},
                     {"x509_svid", crypto::Base64Encode(crypto::Concatenate(svid.chain))},
                     {"x509_svid_key", crypto::Base64Encode(svid.key.Reveal())},
                     {"bundle", crypto::Base64Encode(crypto::Concatenate(svid.bundle))}});
  }
  nlohmann::json federated = nlohmann::json::object();
  for (const auto& [id, bundle] : fetched.federated) {
    federated[id] = crypto::Base64Encode(crypto::Concatenate(bundle));
  }
  const nlohmann::json whole = {
      {"crl", nlohmann::json::array()}, {"federated_bundles", federated}, {"svids", svids}};
  out << whole.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

std::string Pem(const std::vector<crypto::Certificate>& certificates) {
  std::string pem;
  for (const crypto::Certificate& certificate : certificates) {
    pem += crypto::PemEncode("CERTIFICATE", certificate.der());
  }
  return pem;
}

absl::Status WriteFiles(const FetchedX509& fetched, const std::string& folder, std::ostream& out) {
  for (size_t i = 0; i < fetched.svids.size(); ++i) {
    const FetchedSvid& svid = fetched.svids[i];
    const auto path = [&](std::string_view form) {
      return fmt::format("{}/{}", folder, fmt::format(fmt::runtime(form), i));
    };
    const std::string svid_path = path("svid.{}.pem"), key_path = path("svid.{}.key"),
                      bundle_path = path("bundle.{}.pem");
    out << fmt::format("Writing SVID #{} to file {}.\n", i, svid_path);
    RETURN_IF_ERROR(WriteFileAtomically(svid_path, Pem(svid.chain), 0644));
    out << fmt::format("Writing key #{} to file {}.\n", i, key_path);
    std::string key = crypto::PemEncode("PRIVATE KEY", svid.key.Reveal());
    const absl::Status written = WriteFileAtomically(key_path, key, 0600);
    Wipe(key.data(), key.size());
    RETURN_IF_ERROR(written);
    out << fmt::format("Writing bundle #{} to file {}.\n", i, bundle_path);
    RETURN_IF_ERROR(WriteFileAtomically(bundle_path, Pem(svid.bundle), 0644));
    size_t j = 0;
    for (const auto& [id, bundle] : fetched.federated) {
      const std::string federated_path =
          fmt::format("{}/federated_bundle.{}.{}.pem", folder, i, j++);
      out << fmt::format("Writing federated bundle #{} for trust domain {} to file {}.\n", j - 1,
                         id, federated_path);
      RETURN_IF_ERROR(WriteFileAtomically(federated_path, Pem(bundle), 0644));
    }
  }
  return absl::OkStatus();
}

int Failed(const absl::Status& why, const CommandStreams& streams) {
  streams.err << Message(why) << "\n";
  return 1;
}

}  // namespace

Arguments::Reader TimeoutReader(absl::Duration& timeout) {
  return [&timeout](std::string_view text) {
    absl::Duration parsed;
    if (!absl::ParseDuration({text.data(), text.size()}, &parsed)) {
      const bool has_unit = !text.empty() && (text.back() < '0' || text.back() > '9');
      return InvalidArgument("time: {} duration {}", has_unit ? "invalid" : "missing unit in",
                             Quoted(text));
    }
    timeout = parsed;
    return absl::OkStatus();
  };
}

int FetchX509Command(const CommandArguments& arguments, const CommandStreams& streams) {
  Arguments parsed("fetch x509");
  SocketFlags socket;
  socket.AddTo(parsed, kApiSocketHelp);
  bool json = false, silent = false;
  absl::Duration timeout = kDefaultTimeout;
  std::string folder;
  parsed.Add("output", OutputReader(json),
             "Desired output format (pretty, json); default: pretty.");
  parsed.Add("silent", silent, "Suppress stdout");
  parsed.Add("timeout", TimeoutReader(timeout), kTimeoutHelp);
  parsed.Add("write", folder,
             "Write SVID data to the specified path (optional; only available for pretty output "
             "format)");
  if (absl::Status status = parsed.Parse(arguments); !status.ok()) {
    return Misused(status, parsed.Usage(), streams);
  }
  const absl::StatusOr<std::string> path = socket.Path(parsed);
  if (!path.ok()) {
    return Failed(path.status(), streams);
  }
  const absl::Time start = absl::Now();
  const absl::StatusOr<FetchedX509> fetched = FetchX509Svids(*path, timeout);
  if (!fetched.ok()) {
    return Failed(fetched.status(), streams);
  }
  if (json) {
    PrintJson(*fetched, streams.out);
    return 0;
  }
  if (!silent) {
    PrintPretty(*fetched, absl::Now() - start, Hints::kShown, streams.out);
  }
  const absl::Status written =
      folder.empty() ? absl::OkStatus() : WriteFiles(*fetched, folder, streams.out);
  return written.ok() ? 0 : Failed(written, streams);
}

int WatchCommand(const CommandArguments& arguments, const CommandStreams& streams) {
  Arguments parsed("watch");
  SocketFlags socket;
  socket.AddTo(parsed, kApiSocketHelp);
  if (absl::Status status = parsed.Parse(arguments); !status.ok()) {
    return Misused(status, parsed.Usage(), streams, kHelpRequested);
  }
  const absl::StatusOr<std::string> path = socket.Path(parsed);
  if (!path.ok()) {
    return Failed(path.status(), streams);
  }
  absl::Time start = absl::Now();
  // Until somebody ends it: an identity may be granted, or the agent come back, at any time.
  for (absl::Duration retry = kFirstRetry;; retry = std::min(retry * 2, kLongestRetry)) {
    const absl::Status ended = WatchX509Svids(*path, [&](const FetchedX509& fetched) {
      // As the reference, whose watchers are read by scripts.
      PrintPretty(fetched, absl::Now() - start, Hints::kLeftOut, streams.out);
      start = absl::Now();
      retry = kFirstRetry;
    });
    streams.err << Message(ended) << std::endl;
    absl::SleepFor(retry);
  }
}

int HealthcheckCommand(const CommandArguments& arguments, const CommandStreams& streams) {
  Arguments parsed("health");
  SocketFlags socket;
  socket.AddTo(parsed, "Path to the SPIRE Agent API socket");
  bool shallow = false, verbose = false;
  parsed.Add("shallow", shallow, "Perform a less stringent health check");
  parsed.Add("verbose", verbose, "Print verbose information");
  if (absl::Status status = parsed.Parse(arguments); !status.ok()) {
    return Misused(status, parsed.Usage(), streams);
  }
  if (verbose) {
    streams.out << "Checking agent health..." << std::endl;
  }
  const absl::StatusOr<std::string> path = socket.Path(parsed);
  const absl::Status healthy = path.ok() ? CheckAgentHealth(*path) : path.status();
  if (healthy.ok()) {
    streams.out << "Agent is healthy.\n";
    return 0;
  }
  if (verbose) {
    streams.err << "Failed to check health: " << Message(healthy) << "\n";
  }
  // A failed call says nothing of the agent's health; an answer does.
  const bool answered = !Message(healthy).starts_with("rpc error:");
  streams.err << "Agent is unhealthy: "
              << (answered ? Message(healthy) : "unable to determine health") << "\n";
  return 1;
}

}  // namespace assay
