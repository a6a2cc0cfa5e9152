// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/logger_service.h"

#include <optional>
#include <string_view>

#include "spire/api/agent/logger/v1/logger.pb.h"

namespace assay {
namespace {

namespace api = spire::api::agent::logger::v1;
using spire::api::types::LogLevel;

LogLevel ToApi(log::Level level) {
  switch (level) {
    case log::Level::kDebug:
      return LogLevel::DEBUG;
    case log::Level::kInfo:
      return LogLevel::INFO;
    case log::Level::kWarn:
      return LogLevel::WARN;
    case log::Level::kError:
      break;
  }
  return LogLevel::ERROR;
}

// The nearest level that this log has.
std::optional<log::Level> FromApi(LogLevel level) {
  switch (level) {
    case LogLevel::PANIC:
    case LogLevel::FATAL:
    case LogLevel::ERROR:
      return log::Level::kError;
    case LogLevel::WARN:
      return log::Level::kWarn;
    case LogLevel::INFO:
      return log::Level::kInfo;
    case LogLevel::DEBUG:
    case LogLevel::TRACE:
      return log::Level::kDebug;
    default:
      return std::nullopt;
  }
}

std::string_view NameOf(log::Level level) {
  constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};
  return kNames[static_cast<size_t>(level)];
}

constexpr std::string_view kService = "Logger";

}  // namespace

void LoggerService::AddTo(rpc::Registry& registry) {
  registry.Add(
      "/spire.api.agent.logger.v1.Logger/GetLogger",
      rpc::Unary<api::GetLoggerRequest>(
          [this](rpc::Call& call, const api::GetLoggerRequest&, const rpc::Responder&) {
            log::Info("GetLogger Called", {{"method", "GetLogger"}, {"service", kService}});
            Answer(call);
          }));
  registry.Add("/spire.api.agent.logger.v1.Logger/SetLogLevel",
               rpc::Unary<api::SetLogLevelRequest>([this](rpc::Call& call,
                                                          const api::SetLogLevelRequest& request,
                                                          const rpc::Responder& responder) {
                 const std::optional<log::Level> level = FromApi(request.new_level());
                 if (!level.has_value()) {
                   responder.Fail(request.new_level() == LogLevel::UNSPECIFIED
                                      ? InvalidArgument("newLevel value cannot be "
                                                        "LogLevel_UNSPECIFIED")
                                      : InvalidArgument("unsupported log level"));
                   return;
                 }
                 log::Info("SetLogLevel Called", {{"method", "SetLogLevel"},
                                                  {"new_log_level", NameOf(*level)},
                                                  {"service", kService}});
                 Set(*level);
                 Answer(call);
               }));
  registry.Add(
      "/spire.api.agent.logger.v1.Logger/ResetLogLevel",
      rpc::Unary<api::ResetLogLevelRequest>(
          [this](rpc::Call& call, const api::ResetLogLevelRequest&, const rpc::Responder&) {
            log::Info("ResetLogLevel Called", {{"launch_log_level", NameOf(options_.launch_level)},
                                               {"method", "ResetLogLevel"},
                                               {"service", kService}});
            Set(options_.launch_level);
            Answer(call);
          }));
}

void LoggerService::Set(log::Level level) {
  log::SetLevel(level);
  options_.set(level);
}

void LoggerService::Answer(rpc::Call& call) const {
  spire::api::types::Logger response;
  response.set_current_level(ToApi(log::GetLevel()));
  response.set_launch_level(ToApi(options_.launch_level));
  call.Send(std::make_shared<const rpc::Frame>(response));
  call.Finish(absl::OkStatus());
}

}  // namespace assay
