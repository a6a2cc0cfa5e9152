// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/log_line.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

namespace assay {
namespace {

using nlohmann::json;

constexpr size_t kMaxFields = 32;
constexpr size_t kMaxNameBytes = 64;
constexpr size_t kMaxValueBytes = 4096;
constexpr int kMaxDepth = 4;

std::string FieldName(std::string_view name) {
  std::string out(name.substr(0, kMaxNameBytes));
  std::replace_if(
      out.begin(), out.end(),
      [](char c) {
        return !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
               c != '_' && c != '.' && c != '-';
      },
      '_');
  return out;
}

std::string ValueText(const json& value) {
  std::string text = value.is_string() ? value.get<std::string>()
                                       : value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kMaxValueBytes) {
    text.resize(kMaxValueBytes);
  }
  return text;
}

log::Level LevelOf(const json& object) {
  const auto at = object.find("@level");
  const absl::StatusOr<log::Level> level =
      log::ParseLevel(at != object.end() && at->is_string() ? at->get<std::string>() : "");
  return level.ok() ? *level : log::Level::kDebug;
}

std::optional<PluginLogLine> ParseJsonLine(std::string_view line) {
  if (!line.starts_with('{')) {
    return std::nullopt;
  }
  // What is nested deeper than logs are is left out: it must not cost a stack.
  const auto bounded = [](int depth, json::parse_event_t event, json&) {
    return depth < kMaxDepth || (event != json::parse_event_t::object_start &&
                                 event != json::parse_event_t::array_start);
  };
  const json object = json::parse(line, bounded, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return std::nullopt;
  }
  const auto message = object.find("@message");
  if (message == object.end() || !message->is_string()) {
    return std::nullopt;
  }
  PluginLogLine out{.level = LevelOf(object), .message = ValueText(*message), .fields = {}};
  for (const auto& [name, value] : object.items()) {
    if (!name.starts_with('@') && !name.empty() && out.fields.size() < kMaxFields) {
      out.fields.emplace_back(FieldName(name), ValueText(value));
    }
  }
  return out;
}

}  // namespace

PluginLogLine PluginLogReader::Read(std::string_view line, bool cut) {
  if (!cut) {
    if (std::optional<PluginLogLine> parsed = ParseJsonLine(line); parsed.has_value()) {
      return *std::move(parsed);
    }
  }
  return ReadText(line);
}

PluginLogLine PluginLogReader::ReadText(std::string_view line) {
  using log::Level;
  constexpr std::pair<std::string_view, Level> kPrefixes[] = {{"[TRACE]", Level::kDebug},
                                                              {"[DEBUG]", Level::kDebug},
                                                              {"[INFO]", Level::kInfo},
                                                              {"[WARN]", Level::kWarn},
                                                              {"[ERROR]", Level::kError}};
  in_panic_ = in_panic_ || line.starts_with("panic: ") || line.starts_with("fatal error: ");
  PluginLogLine out{.level = in_panic_ ? Level::kError : Level::kDebug,
                    .message = std::string(line.substr(0, kMaxValueBytes)),
                    .fields = {}};
  for (const auto& [prefix, level] : kPrefixes) {
    if (line.starts_with(prefix)) {
      out.level = level;
    }
  }
  return out;
}

}  // namespace assay
