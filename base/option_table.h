// SPDX-License-Identifier: GPL-3.0-or-later
// The options of a configuration block, each declared once: its name, the field that its value goes
// into, and a line of documentation. Reading a block against its options finds every mistake in one
// go: unknown names with the nearest known one, wrong kinds, bad values, what is required and
// absent.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hcl.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/status.h"

namespace assay {

// What reading a configuration found, in the order of the text.
class ConfigReport final {
 public:
  // The name of the configuration, for the positions in messages.
  explicit ConfigReport(std::string_view name) : name_(name) {}

  // Mistakes, at a place of the text or of no place.
  void AddError(ConfigPosition position, std::string_view what);
  void AddError(std::string_view what) { errors_.emplace_back(what); }
  // What another report has, told with its own name.
  void Add(const ConfigReport& other);
  // What is accepted and yet worth a line in the log.
  void AddWarning(ConfigPosition position, std::string_view what);

  const std::vector<std::string>& errors() const { return errors_; }
  const std::vector<std::string>& warnings() const { return warnings_; }
  // OK, or InvalidArgument with all errors, one a line.
  absl::Status ToStatus() const;

 private:
  std::string At(ConfigPosition position, std::string_view what) const;

  const std::string name_;
  std::vector<std::string> errors_;
  std::vector<std::string> warnings_;
};

struct OptionForm;

// Takes the value of one option. The path names it in messages: "agent.sds.default_svid_name".
class OptionReader final {
 public:
  using Read =
      std::function<void(const ConfigValue& value, std::string_view path, ConfigReport& report)>;

  // A function alone, about whose values nothing is known.
  template <typename F>
  requires std::is_invocable_v<F, const ConfigValue&, std::string_view, ConfigReport&>
  // NOLINTNEXTLINE(google-explicit-constructor): readers are written as functions.
  OptionReader(F read) : read_(std::move(read)) {}
  OptionReader(Read read, OptionForm form);

  void operator()(const ConfigValue& value, std::string_view path, ConfigReport& report) const {
    read_(value, path, report);
  }
  const OptionForm& form() const;

 private:
  Read read_;
  std::shared_ptr<const OptionForm> form_;  // Null: nothing is known.
};

struct Option {
  std::string_view name;
  OptionReader read;
  std::string_view doc;
  bool required = false;
  // Whether a new value is taken up while the program runs.
  bool reloads = false;
};
using OptionTable = std::vector<Option>;

// How the value of an option is written, for its documentation and to compare configurations.
struct OptionForm {
  enum class Effect { kFull, kNone, kRefused };

  std::string kind = {};     // "text", "number", "`pem` or `spiffe`"
  std::string initial = {};  // The value where there is none, as it is written; empty: nothing.
  Effect effect = Effect::kFull;
  std::string why = {};     // There is no effect, or it is refused.
  OptionTable inside = {};  // Of a block: its options. Of labelled blocks: one for each label.
  bool labelled = false;
};

// An option whose value is not the same in two texts.
struct OptionChange {
  std::string path;
  bool reloads = false;
};
// The options of two blocks of one table that were set, taken away or changed.
std::vector<OptionChange> CompareOptions(const ConfigValue& before, const ConfigValue& after,
                                         const OptionTable& table, std::string_view path);

// Reads every member of a block by its option. A member that is null counts as absent.
void ReadOptions(const ConfigValue& block, const OptionTable& table, std::string_view path,
                 ConfigReport& report);

// Readers into a field, which must outlive the table. As in HCL 1, a number or a boolean may stand
// in quotes, and a number or a boolean is a string where one is wanted.
OptionReader Into(std::string& field);
OptionReader Into(Secret& field);
OptionReader Into(bool& field);
// "debug", "info", "warn" or "error", as log::ParseLevel takes them.
OptionReader Into(log::Level& field);
OptionReader Into(std::vector<std::string>& field);
// With units, as Go writes them: "5s", "1h30m", "250ms"; negative ones are refused.
OptionReader Into(absl::Duration& field);
// A whole number from min to max.
OptionReader Into(int64_t& field, int64_t min, int64_t max);
OptionReader Into(int& field, int min, int max);
OptionReader Into(uint16_t& field, uint16_t min = 1, uint16_t max = 65535);

// Any reader of a field that is set only when the option is there.
template <typename T>
OptionReader Into(std::optional<T>& field) {
  T unset{};
  return {[&field](const ConfigValue& value, std::string_view path, ConfigReport& report) {
            Into(field.emplace())(value, path, report);
          },
          OptionForm{.kind = Into(unset).form().kind}};
}

// One of the names, compared without case, gives its value.
template <typename T>
OptionReader OneOf(T& field, std::vector<std::pair<std::string_view, T>> choices);

// A block with options of its own; `present` is set when there is one. Several blocks of the name
// are an error.
OptionReader Section(OptionTable table);
OptionReader Section(OptionTable table, bool& present);
// Blocks that carry a label: read is called for each with the label in its path. What is known of
// the labels, and of the options of each, is for the documentation and for comparisons.
using LabelledReader = std::function<void(std::string_view label, const ConfigValue& block,
                                          std::string_view path, ConfigReport& report)>;
OptionReader LabelledBlocks(LabelledReader read, OptionTable known = {});

// A known name whose value has no effect in this program: accepted with a warning that says why.
OptionReader WithoutEffect(std::string_view why = "");
// A known name that this program must refuse, for without it something else would happen than the
// operator asked for: an error that says so. False and empty values are harmless and accepted.
OptionReader NotSupported();

// The text of a value where a string, a number or a boolean stands; else an error is added.
std::optional<std::string> TextOf(const ConfigValue& value, std::string_view path,
                                  ConfigReport& report);
// The choice named by text, without case; else an error with all names.
std::optional<size_t> FindChoice(const ConfigValue& value,
                                 const std::vector<std::string_view>& names, std::string_view path,
                                 ConfigReport& report);

// "`pem` or `spiffe`".
std::string ChoiceText(const std::vector<std::string_view>& names);

template <typename T>
OptionReader OneOf(T& field, std::vector<std::pair<std::string_view, T>> choices) {
  std::vector<std::string_view> names;
  OptionForm form;
  for (const auto& choice : choices) {
    names.push_back(choice.first);
    form.initial = choice.second == field ? choice.first : form.initial;
  }
  form.kind = ChoiceText(names);
  return {[&field, names, choices = std::move(choices)](
              const ConfigValue& value, std::string_view path, ConfigReport& report) {
            if (const auto chosen = FindChoice(value, names, path, report); chosen.has_value()) {
              field = choices[*chosen].second;
            }
          },
          std::move(form)};
}

}  // namespace assay
