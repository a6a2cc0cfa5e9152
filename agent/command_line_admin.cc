// SPDX-License-Identifier: GPL-3.0-or-later
// logger get, logger set, logger reset, debug getinfo: on the admin socket.
#include "agent/command_line_admin.h"

#include <absl/time/clock.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <ostream>

#include "agent/command_line_command.h"
#include "spire/api/agent/debug/v1/debug.grpc.pb.h"
#include "spire/api/agent/logger/v1/logger.grpc.pb.h"

namespace assay {
namespace {

namespace debug = spire::agent::debug::v1;
namespace logger = spire::api::agent::logger::v1;
using nlohmann::json;
using spire::api::types::LogLevel;
using spire::api::types::LogLevel_Name;

// The reference's name of a level, and the other way round.
struct LevelName {
  LogLevel level;
  std::string_view shown;
  std::string_view accepted;
};
constexpr LevelName kLevels[] = {
    {LogLevel::PANIC, "panic", "panic"}, {LogLevel::FATAL, "fatal", "fatal"},
    {LogLevel::ERROR, "error", "error"}, {LogLevel::WARN, "warning", "warn"},
    {LogLevel::INFO, "info", "info"},    {LogLevel::DEBUG, "debug", "debug"},
    {LogLevel::TRACE, "trace", "trace"}};

std::string_view Shown(LogLevel level) {
  const auto* found = std::find_if(std::begin(kLevels), std::end(kLevels),
                                   [level](const LevelName& name) { return name.level == level; });
  return found == std::end(kLevels) ? "unspecified" : found->shown;
}

absl::StatusOr<LogLevel> ParseLogLevel(const std::string& text) {
  if (text.empty()) {
    return InvalidArgument("a value (-level) must be set");
  }
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto* found = std::find_if(
      std::begin(kLevels), std::end(kLevels),
      [&lower](const LevelName& name) { return name.accepted == lower || name.shown == lower; });
  if (found == std::end(kLevels)) {
    return InvalidArgument("the value {} is not a valid setting", Quoted(text));
  }
  return found->level;
}

int ShowLogger(const AdminFlags& flags, const spire::api::types::Logger& levels,
               const CommandStreams& streams) {
  if (flags.json) {
    streams.out << json{{"current_level", LogLevel_Name(levels.current_level())},
                        {"launch_level", LogLevel_Name(levels.launch_level())}}
                       .dump()
                << "\n";
  } else {
    streams.out << fmt::format("Logger Level : {}\nLaunch Level : {}\n\n",
                               Shown(levels.current_level()), Shown(levels.launch_level()));
  }
  return 0;
}

std::string IdText(const debug::GetInfoResponse::Cert& certificate) {
  return certificate.has_id() ? fmt::format("spiffe://{}{}", certificate.id().trust_domain(),
                                            certificate.id().path())
                              : "(none)";
}

// As Go writes durations of whole seconds: "1h0m5s".
std::string UptimeText(int32_t seconds) {
  const int32_t hours = seconds / 3600, minutes = seconds / 60 % 60;
  return fmt::format("{}{}{}s", hours > 0 ? fmt::format("{}h", hours) : "",
                     seconds >= 60 ? fmt::format("{}m", minutes) : "", seconds % 60);
}

void PrintPretty(const debug::GetInfoResponse& info, std::ostream& out) {
  const std::string synced =
      info.last_sync_success() == 0 ? "(never)" : TimeText(info.last_sync_success());
  out << "Agent Debug Info:\n"
      << fmt::format("  Uptime:                          {}\n", UptimeText(info.uptime()))
      << fmt::format("  Last Sync Success:               {}\n", synced)
      << fmt::format("  Cached X.509 SVIDs:              {}\n", info.cached_x509_svids_count())
      << fmt::format("  Cached JWT SVIDs:                {}\n", info.cached_jwt_svids_count())
      << fmt::format("  Cached SVID Store X.509 SVIDs:   {}\n",
                     info.cached_svidstore_x509_svids_count())
      << (info.svid_chain().empty() ? "" : "  SVID Chain:\n");
  for (int i = 0; i < info.svid_chain_size(); ++i) {
    const debug::GetInfoResponse::Cert& certificate = info.svid_chain(i);
    out << fmt::format("    [{}] SPIFFE ID:  {}\n", i, IdText(certificate))
        << fmt::format("        Subject:    {}\n", certificate.subject())
        << fmt::format("        Expires At: {}\n", TimeText(certificate.expires_at()));
  }
}

// 64-bit numbers are texts in protobuf's JSON.
void PrintJson(const debug::GetInfoResponse& info, std::ostream& out) {
  json chain = json::array();
  for (const debug::GetInfoResponse::Cert& certificate : info.svid_chain()) {
    json id;
    if (certificate.has_id()) {
      id = {{"path", certificate.id().path()}, {"trust_domain", certificate.id().trust_domain()}};
    }
    chain.push_back({{"expires_at", std::to_string(certificate.expires_at())},
                     {"id", std::move(id)},
                     {"subject", certificate.subject()}});
  }
  const json whole = {
      {"cached_jwt_svids_count", info.cached_jwt_svids_count()},
      {"cached_svidstore_x509_svids_count", info.cached_svidstore_x509_svids_count()},
      {"cached_x509_svids_count", info.cached_x509_svids_count()},
      {"last_sync_success", std::to_string(info.last_sync_success())},
      {"svid_chain", std::move(chain)},
      {"svids_count", info.svids_count()},
      {"uptime", info.uptime()}};
  out << whole.dump(-1, ' ', false, json::error_handler_t::replace) << "\n";
}

}  // namespace

int AdminCallFailed(const absl::Status& why, const CommandStreams& streams) {
  streams.err << "Error: " << Message(why) << "\n";
  return 1;
}

std::string TimeText(int64_t unix_seconds) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(unix_seconds),
                          absl::UTCTimeZone());
}

int LoggerGetCommand(const CommandArguments& arguments, const CommandStreams& streams) {
  AdminFlags flags("logger get");
  if (absl::Status status = flags.arguments.Parse(arguments); !status.ok()) {
    return Misused(status, flags.arguments.Usage(), streams, kHelpRequested);
  }
  const auto levels =
      AskAgent<logger::Logger>(flags, logger::GetLoggerRequest(), &logger::Logger::Stub::GetLogger);
  return levels.ok()
             ? ShowLogger(flags, *levels, streams)
             : AdminCallFailed(WithContext(levels.status(), "error fetching logger"), streams);
}

int LoggerSetCommand(const CommandArguments& arguments, const CommandStreams& streams) {
  AdminFlags flags("logger set");
  std::string text;
  flags.arguments.Add("level", text,
                      "The new log level, one of (panic, fatal, error, warn, info, debug, trace)");
  if (absl::Status status = flags.arguments.Parse(arguments); !status.ok()) {
    return Misused(status, flags.arguments.Usage(), streams, kHelpRequested);
  }
  const absl::StatusOr<LogLevel> level = ParseLogLevel(text);
  if (!level.ok()) {
    return AdminCallFailed(level.status(), streams);
  }
  logger::SetLogLevelRequest request;
  request.set_new_level(*level);
  const auto levels = AskAgent<logger::Logger>(flags, request, &logger::Logger::Stub::SetLogLevel);
  return levels.ok()
             ? ShowLogger(flags, *levels, streams)
             : AdminCallFailed(WithContext(levels.status(), "failed to set log level"), streams);
}

int LoggerResetCommand(const CommandArguments& arguments, const CommandStreams& streams) {
  AdminFlags flags("logger reset");
  if (absl::Status status = flags.arguments.Parse(arguments); !status.ok()) {
    return Misused(status, flags.arguments.Usage(), streams, kHelpRequested);
  }
  const auto levels = AskAgent<logger::Logger>(flags, logger::ResetLogLevelRequest(),
                                               &logger::Logger::Stub::ResetLogLevel);
  return levels.ok()
             ? ShowLogger(flags, *levels, streams)
             : AdminCallFailed(WithContext(levels.status(), "failed to reset logger"), streams);
}

int DebugInfoCommand(const CommandArguments& arguments, const CommandStreams& streams) {
  AdminFlags flags("debug getinfo");
  if (absl::Status status = flags.arguments.Parse(arguments); !status.ok()) {
    return Misused(status, flags.arguments.Usage(), streams, kHelpRequested);
  }
  const auto info =
      AskAgent<debug::Debug>(flags, debug::GetInfoRequest(), &debug::Debug::Stub::GetInfo);
  if (!info.ok()) {
    return AdminCallFailed(info.status(), streams);
  }
  flags.json ? PrintJson(*info, streams.out) : PrintPretty(*info, streams.out);
  return 0;
}

}  // namespace assay
