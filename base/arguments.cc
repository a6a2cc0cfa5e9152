// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/arguments.h"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace assay {
namespace {

// A default as Go's usage text shows a duration: "720h0m0s".
std::string DurationText(absl::Duration duration) {
  const int64_t seconds = absl::ToInt64Seconds(duration);
  if (seconds >= 3600) {
    return fmt::format("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60);
  }
  return seconds >= 60 ? fmt::format("{}m{}s", seconds / 60, seconds % 60)
                       : fmt::format("{}s", seconds);
}

absl::Status ReadBool(std::string_view text, bool& field) {
  for (std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) {
      field = true;
      return absl::OkStatus();
    }
  }
  for (std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) {
      field = false;
      return absl::OkStatus();
    }
  }
  return InvalidArgument("parse error");
}

absl::Status ReadInteger(std::string_view text, int64_t& field) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, field);
  if (error == std::errc::result_out_of_range) {
    return InvalidArgument("value out of range");
  }
  if (error != std::errc() || stop != end) {
    return InvalidArgument("parse error");
  }
  return absl::OkStatus();
}

absl::Status ReadDuration(std::string_view text, absl::Duration& field) {
  absl::Duration parsed;
  if (!absl::ParseDuration({text.data(), text.size()}, &parsed) ||
      parsed == absl::InfiniteDuration() || parsed == -absl::InfiniteDuration()) {
    return InvalidArgument("parse error");
  }
  field = parsed;
  return absl::OkStatus();
}

}  // namespace

void Arguments::Add(std::string_view name, std::string& field, std::string_view help) {
  flags_.push_back({.name = std::string(name),
                    .kind = "string",
                    .default_value = field.empty() ? "" : Quoted(field),
                    .help = std::string(help),
                    .read = [&field](std::string_view text) {
                      field = text;
                      return absl::OkStatus();
                    }});
}

void Arguments::Add(std::string_view name, bool& field, std::string_view help) {
  flags_.push_back({.name = std::string(name),
                    .kind = "",
                    .default_value = field ? "true" : "",
                    .help = std::string(help),
                    .read = [&field](std::string_view text) { return ReadBool(text, field); }});
}

void Arguments::Add(std::string_view name, int64_t& field, std::string_view help) {
  flags_.push_back({.name = std::string(name),
                    .kind = "int",
                    .default_value = field == 0 ? "" : fmt::format("{}", field),
                    .help = std::string(help),
                    .read = [&field](std::string_view text) { return ReadInteger(text, field); }});
}

void Arguments::Add(std::string_view name, absl::Duration& field, std::string_view help) {
  flags_.push_back({.name = std::string(name),
                    .kind = "duration",
                    .default_value = field == absl::ZeroDuration() ? "" : DurationText(field),
                    .help = std::string(help),
                    .read = [&field](std::string_view text) { return ReadDuration(text, field); }});
}

void Arguments::Add(std::string_view name, std::vector<std::string>& field, std::string_view help) {
  Add(
      name,
      [&field](std::string_view text) {
        field.emplace_back(text);
        return absl::OkStatus();
      },
      help);
}

void Arguments::Add(std::string_view name, Reader read, std::string_view help) {
  flags_.push_back({.name = std::string(name),
                    .kind = "value",
                    .default_value = "",
                    .help = std::string(help),
                    .read = std::move(read)});
}

Arguments::Flag* Arguments::Find(std::string_view name) {
  const auto found = std::find_if(flags_.begin(), flags_.end(),
                                  [name](const Flag& flag) { return flag.name == name; });
  return found == flags_.end() ? nullptr : &*found;
}

bool Arguments::WasSet(std::string_view name) const {
  return std::any_of(flags_.begin(), flags_.end(),
                     [name](const Flag& flag) { return flag.name == name && flag.set; });
}

absl::Status Arguments::Parse(const std::vector<std::string>& arguments) {
  for (Flag& flag : flags_) {
    flag.set = false;
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--" && i + 1 == arguments.size()) {
      return absl::OkStatus();
    }
    if (argument.size() < 2 || argument[0] != '-' || argument == "--") {
      return InvalidArgument("unexpected argument {}",
                             Quoted(argument == "--" ? arguments[i + 1] : argument));
    }
    std::string_view name = argument.substr(argument.starts_with("--") ? 2 : 1);
    const size_t equals = name.find('=');
    if (name.empty() || name[0] == '-' || equals == 0) {
      return InvalidArgument("bad flag syntax: {}", argument);
    }
    const bool has_value = equals != name.npos;
    std::string_view value = has_value ? name.substr(equals + 1) : std::string_view();
    name = name.substr(0, equals);
    Flag* flag = Find(name);
    if (flag == nullptr) {
      return name == "h" || name == "help"
                 ? absl::CancelledError("help requested")
                 : InvalidArgument("flag provided but not defined: -{}", name);
    }
    flag->set = true;
    const bool is_bool = flag->kind.empty();
    if (!has_value && is_bool) {
      value = "true";
    } else if (!has_value && i + 1 == arguments.size()) {
      return InvalidArgument("flag needs an argument: -{}", name);
    } else if (!has_value) {
      value = arguments[++i];
    }
    if (absl::Status read = flag->read(value); !read.ok()) {
      return InvalidArgument("invalid {} {} for {}-{}: {}", is_bool ? "boolean value" : "value",
                             Quoted(value), is_bool ? "" : "flag ", name, Message(read));
    }
  }
  return absl::OkStatus();
}

std::string Arguments::Usage() const {
  std::vector<const Flag*> sorted;
  for (const Flag& flag : flags_) {
    sorted.push_back(&flag);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const Flag* a, const Flag* b) { return a->name < b->name; });
  std::string text = fmt::format("Usage of {}:\n", command_);
  for (const Flag* flag : sorted) {
    text += fmt::format("  -{}{}{}\n    \t{}", flag->name, flag->kind.empty() ? "" : " ",
                        flag->kind, flag->help);
    text +=
        flag->default_value.empty() ? "\n" : fmt::format(" (default {})\n", flag->default_value);
  }
  return text;
}

}  // namespace assay
