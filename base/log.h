// SPDX-License-Identifier: GPL-3.0-or-later
// The log: a constant phrase and fields. error: an operator must act; warn: degraded and retrying;
// info: state changes; debug: free. The text form is the reference agent's,
//   time="2026-11-21T06:24:07Z" level=info msg="Starting agent" data_dir=/d subsystem_name=agent
// with the fields sorted by name; the JSON form has the same members. Times are UTC. Lines go to
// standard output until Open is called. Thread-safe.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/status.h"

namespace assay::log {

enum class Level { kDebug, kInfo, kWarn, kError };
// The reference's text form has whole seconds where it is not asked for by name, else as many
// digits as the JSON form.
enum class Format { kText, kPreciseText, kJson };

// The constant text of a line, and the place in the source that writes it.
struct Phrase {
  std::string_view text;
  std::string_view file;
  int line;
  std::string_view function;

  template <typename T>
  requires std::is_convertible_v<const T&, std::string_view>
  // NOLINTNEXTLINE(google-explicit-constructor): the caller writes the text alone.
  Phrase(const T& t, const char* in_file = __builtin_FILE(), int at_line = __builtin_LINE(),
         const char* in_function = __builtin_FUNCTION())
      : text(t), file(in_file), line(at_line), function(in_function) {}
};

// One field of a line. Its value is text made at once; a Secret does not convert. One without a
// name is left out.
struct Field {
  std::string_view name;
  std::string value;
  bool quoted = true;  // In JSON: a string. Numbers and booleans are not quoted.

  Field(std::string_view n, std::string_view v) : name(n), value(v) {}
  Field(std::string_view n, const std::string& v) : name(n), value(v) {}
  Field(std::string_view n, const char* v) : name(n), value(v) {}
  Field(std::string_view n, const absl::Status& status) : name(n), value(Message(status)) {}
  template <typename T>
  requires std::is_arithmetic_v<T> Field(std::string_view n, T v)
      : name(n), value(fmt::format("{}", v)), quoted(false) {}
};

struct Options {
  Level level = Level::kInfo;
  Format format = Format::kText;
  std::string file;              // Empty: standard output.
  bool source_location = false;  // Fields "file" and "func" in each line.
};

// Starts logging as the options say; a file that cannot be opened is the error.
absl::Status Open(const Options& options);
void SetLevel(Level level);
Level GetLevel();
// "debug", "info", "warn", "error" in any case, and what else the reference takes ("warning";
// "trace" counts as debug, "fatal" and "panic" as error); anything else is InvalidArgument.
absl::StatusOr<Level> ParseLevel(std::string_view text);

void Write(Level level, const Phrase& phrase, std::initializer_list<Field> fields);
void Write(Level level, const Phrase& phrase, std::vector<Field> fields);

inline void Debug(const Phrase& phrase, std::initializer_list<Field> fields = {}) {
  if (GetLevel() <= Level::kDebug) {
    Write(Level::kDebug, phrase, fields);
  }
}
inline void Info(const Phrase& phrase, std::initializer_list<Field> fields = {}) {
  Write(Level::kInfo, phrase, fields);
}
inline void Warn(const Phrase& phrase, std::initializer_list<Field> fields = {}) {
  Write(Level::kWarn, phrase, fields);
}
inline void Error(const Phrase& phrase, std::initializer_list<Field> fields = {}) {
  Write(Level::kError, phrase, fields);
}

}  // namespace assay::log
