// SPDX-License-Identifier: GPL-3.0-or-later
// A configuration text as a tree of values, each with its place in the text. The text is HCL 1 (the
// HashiCorp Configuration Language as spire-agent reads it) or, when its first character is '{',
// the JSON form of the same configuration. Both give the same tree: a labelled block `Type "name" {
// ... }` is an object Type with a member name. Parsing is bounded in size and depth.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace assay {

// Where something stands in a text; the first line and the first column are 1.
struct ConfigPosition {
  int line = 1;
  int column = 1;
};

struct ConfigMember;

struct ConfigValue {
  enum class Kind { kNull, kBool, kNumber, kString, kList, kObject };

  Kind kind = Kind::kNull;
  ConfigPosition position;
  bool boolean = false;
  std::string text;  // A string's bytes, or a number as it was written.
  std::vector<ConfigValue> items;
  // In the order of the text, names unique: blocks of one name are one member, a list of objects.
  std::vector<ConfigMember> members;

  // The member of an object, null when there is none.
  const ConfigValue* Find(std::string_view name) const;
  // The objects that stand for a block: an object itself, the objects of a list, else none.
  std::vector<const ConfigValue*> Blocks() const;
};

struct ConfigMember {
  std::string name;
  ConfigPosition position;
  ConfigValue value;
};

// Overwrites every text in a value, for there may be passwords among them.
void WipeTexts(ConfigValue& value);

// "a string", "a list": how error messages call a kind.
std::string_view KindName(ConfigValue::Kind kind);

constexpr size_t kMaxConfigBytes = 1 << 20;
constexpr int kMaxConfigDepth = 32;

// The root object of a text. An error is InvalidArgument, "name:line:column: what was expected".
// An attribute that is set twice in one block is such an error.
absl::StatusOr<ConfigValue> ParseConfig(std::string_view name, std::string_view text);

}  // namespace assay
