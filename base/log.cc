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
std::atomic<bool> g_source_location{false};

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
  return std::any_of(value.begin(), value.end(), [](char c) {
    return !(std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_' ||
             c == '/' || c == '@' || c == '^' || c == '+');
  });
}

// The bytes of the UTF-8 character that text begins with; 0: it is none.
size_t CharacterSize(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t size = byte(0) < 0x80                       ? 1
                      : byte(0) >= 0xc2 && byte(0) < 0xe0  ? 2
                      : byte(0) >= 0xe0 && byte(0) < 0xf0  ? 3
                      : byte(0) >= 0xf0 && byte(0) <= 0xf4 ? 4
                                                           : 0;
  if (size > text.size()) {
    return 0;
  }
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) {
      return 0;
    }
  }
  return size;
}

// Characters that a terminal does not show, or that turn its writing round.
bool IsUnprintable(char32_t character) {
  return character < 0xa0 || character == 0xad || (character >= 0x200b && character <= 0x200f) ||
         (character >= 0x2028 && character <= 0x202e) ||
         (character >= 0x2060 && character <= 0x206f) || character == 0xfeff ||
         (character >= 0xd800 && character < 0xe000) || character > 0x10ffff;
}

void EscapeWide(std::string_view bytes, std::string& escaped) {
  char32_t character = static_cast<unsigned char>(bytes[0]) & (0xff >> (bytes.size() + 1));
  for (char c : bytes.substr(1)) {
    character = character << 6 | (static_cast<unsigned char>(c) & 0x3f);
  }
  if (IsUnprintable(character)) {
    escaped += fmt::format("\\u{:04x}", static_cast<uint32_t>(character));
  } else {
    escaped += bytes;
  }
}

void EscapeByte(char c, std::string& escaped) {
  constexpr std::string_view kNamed = "\a\b\f\n\r\t\v\"\\", kNames = "abfnrtv\"\\";
  const auto byte = static_cast<unsigned char>(c);
  if (const size_t named = kNamed.find(c); named != kNamed.npos) {
    escaped += {'\\', kNames[named]};
  } else if (byte < 0x20 || byte >= 0x7f) {
    escaped += fmt::format("\\x{:02x}", byte);
  } else {
    escaped += c;
  }
}

// Lines are one record each whatever a value holds: it is quoted as a Go string.
std::string Escape(std::string_view value) {
  std::string escaped = "\"";
  while (!value.empty()) {
    const size_t size = CharacterSize(value);
    if (size > 1) {
      EscapeWide(value.substr(0, size), escaped);
    } else {
      EscapeByte(value[0], escaped);
    }
    value.remove_prefix(std::max<size_t>(size, 1));
  }
  return escaped + '"';
}

std::string ValueText(std::string_view value) {
  return NeedsQuotes(value) ? Escape(value) : std::string(value);
}

std::string TextLine(std::string_view time, Level level, std::string_view phrase,
                     const std::vector<Field>& fields) {
  std::string line =
      fmt::format("time=\"{}\" level={} msg={}", time, NameOf(level), ValueText(phrase));
  for (const Field& field : fields) {
    line += fmt::format(" {}={}", field.name, ValueText(field.value));
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

std::string TimeText(Format format) {
  return absl::FormatTime(format == Format::kText ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%dT%H:%M:%E*SZ",
                          absl::Now(), absl::UTCTimeZone());
}

}  // namespace

absl::Status Open(const Options& options) {
  g_level = options.level;
  g_format = options.format;
  g_source_location = options.source_location;
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
  if (lower == "debug" || lower == "trace") {
    return Level::kDebug;
  }
  if (lower == "info") {
    return Level::kInfo;
  }
  if (lower == "warn" || lower == "warning") {
    return Level::kWarn;
  }
  if (lower == "error" || lower == "fatal" || lower == "panic") {
    return Level::kError;
  }
  return InvalidArgument("log level {}: wanted debug, info, warn or error", Quoted(text));
}

void Write(Level level, const Phrase& phrase, std::initializer_list<Field> fields) {
  if (level >= g_level.load()) {
    Write(level, phrase, std::vector<Field>(fields));
  }
}

void Write(Level level, const Phrase& phrase, std::vector<Field> sorted) {
  if (level < g_level.load()) {
    return;
  }
  std::erase_if(sorted, [](const Field& field) { return field.name.empty(); });
  if (g_source_location.load()) {
    const std::string_view name = phrase.file.substr(phrase.file.rfind('/') + 1);
    sorted.emplace_back("file", fmt::format("{}:{}", name, phrase.line));
    sorted.emplace_back("func", phrase.function);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const Field& a, const Field& b) { return a.name < b.name; });
  const Format format = g_format.load();
  const std::string time = TimeText(format);
  const std::string line = format == Format::kJson ? JsonLine(time, level, phrase.text, sorted)
                                                   : TextLine(time, level, phrase.text, sorted);
  Logger().log(spdlog::level::info, spdlog::string_view_t(line));
}

}  // namespace assay::log
