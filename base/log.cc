// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/log.h"

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <vector>

namespace assay::log {
namespace {

std::atomic<Level> g_level{Level::kInfo};
std::atomic<Format> g_format{Format::kText};

spdlog::logger& Logger() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>("assay",
                                                 std::make_shared<spdlog::sinks::stdout_sink_mt>());
    made->set_pattern("%v");
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

std::string_view NameOf(Level level) {
  constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};
  return kNames[static_cast<int>(level)];
}

bool NeedsQuotes(std::string_view value) {
  return value.empty() || std::any_of(value.begin(), value.end(), [](char c) {
           return !(std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' ||
                    c == '_' || c == '/' || c == '@' || c == '^' || c == '+');
         });
}

// Lines are one record each whatever a value holds: quotes, backslashes and control bytes are
// escaped.
std::string Escape(std::string_view value) {
  std::string escaped = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\') {
      escaped += '\\';
      escaped += c;
    } else if (c == '\n') {
      escaped += "\\n";
    } else if (c == '\t') {
      escaped += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      escaped += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      escaped += c;
    }
  }
  return escaped + '"';
}

std::string TextLine(std::string_view time, Level level, std::string_view phrase,
                     const std::vector<Field>& fields) {
  std::string line = fmt::format("time=\"{}\" level={} msg={}", time, NameOf(level),
                                 NeedsQuotes(phrase) ? Escape(phrase) : std::string(phrase));
  for (const Field& field : fields) {
    line += fmt::format(" {}={}", field.name,
                        NeedsQuotes(field.value) ? Escape(field.value) : field.value);
  }
  return line;
}

std::string JsonLine(std::string_view time, Level level, std::string_view phrase,
                     const std::vector<Field>& fields) {
  nlohmann::json line = {{"time", time}, {"level", NameOf(level)}, {"msg", phrase}};
  for (const Field& field : fields) {
    line[std::string(field.name)] =
        field.quoted ? nlohmann::json(field.value)
                     : nlohmann::json::parse(field.value, nullptr, /*allow_exceptions=*/false);
  }
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

absl::Status Open(const Options& options) {
  g_level = options.level;
  g_format = options.format;
  if (options.file.empty()) {
    return absl::OkStatus();
  }
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file);
    sink->set_pattern("%v");
    Logger().sinks() = {sink};
  } catch (const spdlog::spdlog_ex& error) {
    return FailedPrecondition("opening the log file {}: {}", options.file, error.what());
  }
  return absl::OkStatus();
}

void SetLevel(Level level) { g_level = level; }
Level GetLevel() { return g_level; }

absl::StatusOr<Level> ParseLevel(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower == "debug") {
    return Level::kDebug;
  }
  if (lower == "info") {
    return Level::kInfo;
  }
  if (lower == "warn" || lower == "warning") {
    return Level::kWarn;
  }
  if (lower == "error") {
    return Level::kError;
  }
  return InvalidArgument("log level {}: wanted debug, info, warn or error", Quoted(text));
}

void Write(Level level, std::string_view phrase, std::initializer_list<Field> fields) {
  if (level < g_level.load()) {
    return;
  }
  std::vector<Field> sorted(fields);
  std::sort(sorted.begin(), sorted.end(),
            [](const Field& a, const Field& b) { return a.name < b.name; });
  const std::string time = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone());
  const std::string line = g_format.load() == Format::kJson ? JsonLine(time, level, phrase, sorted)
                                                            : TextLine(time, level, phrase, sorted);
  Logger().log(spdlog::level::info, spdlog::string_view_t(line));
}

}  // namespace assay::log
