// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/option_table.h"

#include <algorithm>
#include <charconv>
#include <numeric>

namespace assay {
namespace {

using Kind = ConfigValue::Kind;

// How many letters to add, remove or change to make one word of the other.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

// "; did you mean ...?" when a name is close enough to be a slip of the fingers.
std::string Suggestion(std::string_view name, const OptionTable& table) {
  constexpr size_t kLongestName = 64;
  if (name.size() > kLongestName) {
    return "";
  }
  const Option* nearest = nullptr;
  size_t least = std::max<size_t>(2, name.size() / 3) + 1;
  for (const Option& option : table) {
    if (const size_t distance = EditDistance(name, option.name); distance < least) {
      least = distance;
      nearest = &option;
    }
  }
  return nearest == nullptr ? "" : fmt::format("; did you mean {}?", Quoted(nearest->name));
}

std::string Joined(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

std::string LabelledPath(std::string_view path, std::string_view label) {
  return fmt::format("{} {}", path, Quoted(label));
}

void WrongKind(const ConfigValue& value, std::string_view path, std::string_view wanted,
               ConfigReport& report) {
  report.AddError(value.position,
                  fmt::format("{}: expected {}, found {}", path, wanted, KindName(value.kind)));
}

std::optional<int64_t> ParseInteger(std::string_view text) {
  const bool negative = text.starts_with('-');
  std::string_view digits = text.substr(negative ? 1 : 0);
  const int base = digits.starts_with("0x") || digits.starts_with("0X") ? 16 : 10;
  if (base == 16) {
    digits.remove_prefix(2);
  }
  const std::string whole = (negative ? "-" : "") + std::string(digits);
  int64_t number = 0;
  const auto [end, error] =
      std::from_chars(whole.data(), whole.data() + whole.size(), number, base);
  if (error != std::errc() || end != whole.data() + whole.size()) {
    return std::nullopt;
  }
  return number;
}

bool SameWithoutCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return tolower(x) == tolower(y); });
}

// Whether a value leaves everything as it is without it.
bool IsHarmless(const ConfigValue& value) {
  switch (value.kind) {
    case Kind::kNull:
      return true;
    case Kind::kBool:
      return !value.boolean;
    case Kind::kString:
      return value.text.empty();
    case Kind::kNumber:
      return value.text == "0";
    case Kind::kList:
      return value.items.empty();
    case Kind::kObject:
      return value.members.empty();
  }
  return false;
}

}  // namespace

OptionReader::OptionReader(Read read, OptionForm form)
    : read_(std::move(read)), form_(std::make_shared<const OptionForm>(std::move(form))) {}

const OptionForm& OptionReader::form() const {
  static const OptionForm kUnknown;
  return form_ == nullptr ? kUnknown : *form_;
}

std::string ConfigReport::At(ConfigPosition position, std::string_view what) const {
  return fmt::format("{}:{}:{}: {}", name_, position.line, position.column, what);
}

void ConfigReport::AddError(ConfigPosition position, std::string_view what) {
  errors_.push_back(At(position, what));
}

void ConfigReport::AddWarning(ConfigPosition position, std::string_view what) {
  warnings_.push_back(At(position, what));
}

void ConfigReport::Add(const ConfigReport& other) {
  errors_.insert(errors_.end(), other.errors_.begin(), other.errors_.end());
  warnings_.insert(warnings_.end(), other.warnings_.begin(), other.warnings_.end());
}

absl::Status ConfigReport::ToStatus() const {
  return errors_.empty() ? absl::OkStatus() : InvalidArgument("{}", fmt::join(errors_, "\n"));
}

void ReadOptions(const ConfigValue& block, const OptionTable& table, std::string_view path,
                 ConfigReport& report) {
  if (block.kind != Kind::kObject) {
    WrongKind(block, path, "a block", report);
    return;
  }
  for (const ConfigMember& member : block.members) {
    const auto option = std::find_if(table.begin(), table.end(),
                                     [&](const Option& o) { return o.name == member.name; });
    if (option == table.end()) {
      report.AddError(member.position, fmt::format("unknown option {}{}{}", Quoted(member.name),
                                                   path.empty() ? "" : fmt::format(" in {}", path),
                                                   Suggestion(member.name, table)));
    } else if (member.value.kind != Kind::kNull) {
      option->read(member.value, Joined(path, option->name), report);
    }
  }
  for (const Option& option : table) {
    const ConfigValue* value = block.Find(option.name);
    if (option.required && (value == nullptr || value->kind == Kind::kNull ||
                            (value->kind == Kind::kString && value->text.empty()))) {
      report.AddError(block.position,
                      fmt::format("{} must be configured", Joined(path, option.name)));
    }
  }
}

std::optional<std::string> TextOf(const ConfigValue& value, std::string_view path,
                                  ConfigReport& report) {
  switch (value.kind) {
    case Kind::kString:
    case Kind::kNumber:
    case Kind::kBool:
      return value.text;
    default:
      WrongKind(value, path, "a string", report);
      return std::nullopt;
  }
}

OptionReader Into(std::string& field) {
  return {[&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            if (auto text = TextOf(value, path, report); text.has_value()) {
              field = *std::move(text);
            }
          },
          {.kind = "text", .initial = field.empty() ? "" : Quoted(field)}};
}

OptionReader Into(Secret& field) {
  return {[&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            if (auto text = TextOf(value, path, report); text.has_value()) {
              field = Secret::TakeFrom(*text);
            }
          },
          {.kind = "text"}};
}

OptionReader Into(log::Level& field) {
  return {[&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            const std::optional<std::string> text = TextOf(value, path, report);
            if (!text.has_value()) {
              return;
            }
            if (const auto level = log::ParseLevel(*text); level.ok()) {
              field = *level;
            } else {
              report.AddError(value.position, fmt::format("{}: {}", path, Message(level.status())));
            }
          },
          {.kind = "`debug`, `info`, `warn` or `error`", .initial = "info"}};
}

OptionReader Into(bool& field) {
  return {[&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            const bool is_text = value.kind == Kind::kString || value.kind == Kind::kBool;
            if (is_text && (value.text == "true" || value.text == "false")) {
              field = value.text == "true";
            } else {
              WrongKind(value, path, "true or false", report);
            }
          },
          {.kind = "true or false", .initial = field ? "true" : "false"}};
}

OptionReader Into(std::vector<std::string>& field) {
  return {[&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            if (value.kind != Kind::kList) {
              WrongKind(value, path, "a list of strings", report);
              return;
            }
            field.clear();
            for (const ConfigValue& item : value.items) {
              if (auto text = TextOf(item, path, report); text.has_value()) {
                field.push_back(*std::move(text));
              }
            }
          },
          {.kind = "list of texts"}};
}

OptionReader Into(absl::Duration& field) {
  return {[&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            if (value.kind != Kind::kString) {
              WrongKind(value, path, "a duration in quotes, such as \"5s\" or \"1h30m\"", report);
              return;
            }
            absl::Duration duration;
            if (!absl::ParseDuration({value.text.data(), value.text.size()}, &duration) ||
                duration < absl::ZeroDuration() || duration == absl::InfiniteDuration()) {
              report.AddError(value.position,
                              fmt::format("{}: {} is no duration, such as \"5s\" or \"1h30m\"",
                                          path, Quoted(value.text)));
              return;
            }
            field = duration;
          },
          {.kind = "duration", .initial = Quoted(absl::FormatDuration(field))}};
}

OptionReader Into(int64_t& field, int64_t min, int64_t max) {
  return {
      [&field, min, max](const ConfigValue& value, std::string_view path, ConfigReport& report) {
        if (value.kind != Kind::kNumber && value.kind != Kind::kString) {
          WrongKind(value, path, "a number", report);
          return;
        }
        const std::optional<int64_t> number = ParseInteger(value.text);
        if (!number.has_value() || *number < min || *number > max) {
          report.AddError(value.position, fmt::format("{}: {} is no whole number from {} to {}",
                                                      path, Quoted(value.text), min, max));
          return;
        }
        field = *number;
      },
      {.kind = "number", .initial = fmt::format("{}", field)}};
}

OptionReader Into(int& field, int min, int max) {
  return {
      [&field, min, max](const ConfigValue& value, std::string_view path, ConfigReport& report) {
        int64_t number = field;
        Into(number, min, max)(value, path, report);
        field = static_cast<int>(number);
      },
      {.kind = "number", .initial = fmt::format("{}", field)}};
}

OptionReader Into(uint16_t& field, uint16_t min, uint16_t max) {
  return {
      [&field, min, max](const ConfigValue& value, std::string_view path, ConfigReport& report) {
        int64_t number = field;
        Into(number, min, max)(value, path, report);
        field = static_cast<uint16_t>(number);
      },
      {.kind = "number", .initial = field == 0 ? "" : fmt::format("{}", field)}};
}

OptionReader Section(OptionTable table) {
  OptionForm form{.kind = "block", .inside = table};
  return {[table = std::move(table)](const ConfigValue& value, std::string_view path,
                                     ConfigReport& report) {
            const std::vector<const ConfigValue*> blocks = value.Blocks();
            if (blocks.size() != 1) {
              report.AddError(value.position, fmt::format("{}: expected one block", path));
              return;
            }
            ReadOptions(*blocks[0], table, path, report);
          },
          std::move(form)};
}

OptionReader Section(OptionTable table, bool& present) {
  OptionReader inner = Section(std::move(table));
  OptionForm form = inner.form();
  return {[inner = std::move(inner), &present](const ConfigValue& value, std::string_view path,
                                               ConfigReport& report) {
            present = true;
            inner(value, path, report);
          },
          std::move(form)};
}

OptionReader LabelledBlocks(LabelledReader read, OptionTable known) {
  return {[read = std::move(read)](const ConfigValue& value, std::string_view path,
                                   ConfigReport& report) {
            const std::vector<const ConfigValue*> blocks = value.Blocks();
            if (blocks.empty()) {
              WrongKind(value, path, "blocks with a label", report);
            }
            for (const ConfigValue* block : blocks) {
              for (const ConfigMember& member : block->members) {
                const std::string inner = LabelledPath(path, member.name);
                const std::vector<const ConfigValue*> bodies = member.value.Blocks();
                if (bodies.size() == 1) {
                  read(member.name, *bodies[0], inner, report);
                } else {
                  report.AddError(member.position, fmt::format("{}: expected one block", inner));
                }
              }
            }
          },
          {.kind = "blocks with a label", .inside = std::move(known), .labelled = true}};
}

OptionReader WithoutEffect(std::string_view why) {
  return {[why](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            if (!IsHarmless(value)) {
              report.AddWarning(value.position, fmt::format("{} has no effect{}{}", path,
                                                            why.empty() ? "" : ": ", why));
            }
          },
          {.effect = OptionForm::Effect::kNone, .why = std::string(why)}};
}

OptionReader NotSupported() {
  return {[](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            if (!IsHarmless(value)) {
              report.AddError(value.position, fmt::format("{} is not supported", path));
            }
          },
          {.effect = OptionForm::Effect::kRefused}};
}

std::optional<size_t> FindChoice(const ConfigValue& value,
                                 const std::vector<std::string_view>& names, std::string_view path,
                                 ConfigReport& report) {
  const std::optional<std::string> text = TextOf(value, path, report);
  if (!text.has_value()) {
    return std::nullopt;
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (SameWithoutCase(names[i], *text)) {
      return i;
    }
  }
  report.AddError(value.position,
                  fmt::format("{}: {} is none of {}", path, Quoted(*text), fmt::join(names, ", ")));
  return std::nullopt;
}

std::string ChoiceText(const std::vector<std::string_view>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    text += fmt::format("{}`{}`", i == 0 ? "" : i + 1 == names.size() ? " or " : ", ", names[i]);
  }
  return text;
}

}  // namespace assay
