// SPDX-License-Identifier: GPL-3.0-or-later
// CompareOptions: what two configurations of one table differ in.
#include <algorithm>
#include <set>

#include "base/option_table.h"

namespace assay {
namespace {

using Kind = ConfigValue::Kind;

bool IsAbsent(const ConfigValue* value) { return value == nullptr || value->kind == Kind::kNull; }

// Whatever the places in the text, and the order of members.
bool IsSame(const ConfigValue* a, const ConfigValue* b) {
  if (IsAbsent(a) || IsAbsent(b)) {
    return IsAbsent(a) == IsAbsent(b);
  }
  if (a->kind != b->kind || a->boolean != b->boolean || a->text != b->text ||
      a->items.size() != b->items.size() || a->members.size() != b->members.size()) {
    return false;
  }
  for (size_t i = 0; i < a->items.size(); ++i) {
    if (!IsSame(&a->items[i], &b->items[i])) {
      return false;
    }
  }
  return std::all_of(a->members.begin(), a->members.end(), [b](const ConfigMember& member) {
    return IsSame(&member.value, b->Find(member.name));
  });
}

// An absent block is one without options.
const ConfigValue* OnlyBlock(const ConfigValue* value) {
  static const ConfigValue kEmpty = [] {
    ConfigValue empty;
    empty.kind = Kind::kObject;
    return empty;
  }();
  if (IsAbsent(value)) {
    return &kEmpty;
  }
  const auto blocks = value->Blocks();
  return blocks.size() == 1 ? blocks[0] : nullptr;
}

// The body of a labelled block, in any of the blocks that carry labels.
const ConfigValue* Labelled(const ConfigValue* value, std::string_view label) {
  const auto blocks = value == nullptr ? std::vector<const ConfigValue*>() : value->Blocks();
  for (const ConfigValue* block : blocks) {
    if (const ConfigValue* body = block->Find(label); body != nullptr) {
      return OnlyBlock(body);
    }
  }
  return nullptr;
}

std::set<std::string> LabelsOf(const ConfigValue* value) {
  std::set<std::string> labels;
  for (const ConfigValue* block :
       value == nullptr ? std::vector<const ConfigValue*>() : value->Blocks()) {
    for (const ConfigMember& member : block->members) {
      labels.insert(member.name);
    }
  }
  return labels;
}

void Append(std::vector<OptionChange> more, std::vector<OptionChange>& changes) {
  std::move(more.begin(), more.end(), std::back_inserter(changes));
}

std::vector<OptionChange> CompareLabelled(const ConfigValue* before, const ConfigValue* after,
                                          const OptionTable& known, const std::string& path) {
  std::vector<OptionChange> changes;
  std::set<std::string> labels = LabelsOf(before);
  labels.merge(LabelsOf(after));
  for (const std::string& label : labels) {
    const ConfigValue *old_body = Labelled(before, label), *new_body = Labelled(after, label);
    const std::string inner = fmt::format("{} {}", path, Quoted(label));
    const auto option = std::find_if(known.begin(), known.end(),
                                     [&label](const Option& o) { return o.name == label; });
    if (old_body != nullptr && new_body != nullptr && option != known.end()) {
      Append(CompareOptions(*old_body, *new_body, option->read.form().inside, inner), changes);
    } else if (!IsSame(old_body, new_body)) {
      changes.push_back({inner, false});
    }
  }
  return changes;
}

}  // namespace

std::vector<OptionChange> CompareOptions(const ConfigValue& before, const ConfigValue& after,
                                         const OptionTable& table, std::string_view path) {
  std::vector<OptionChange> changes;
  for (const Option& option : table) {
    const ConfigValue *old_value = before.Find(option.name), *new_value = after.Find(option.name);
    if (IsSame(old_value, new_value)) {
      continue;
    }
    const std::string inner =
        path.empty() ? std::string(option.name) : fmt::format("{}.{}", path, option.name);
    const OptionForm& form = option.read.form();
    const ConfigValue *old_block = OnlyBlock(old_value), *new_block = OnlyBlock(new_value);
    if (form.labelled) {
      Append(CompareLabelled(old_value, new_value, form.inside, inner), changes);
    } else if (!option.reloads && !form.inside.empty() && old_block != nullptr &&
               new_block != nullptr) {
      Append(CompareOptions(*old_block, *new_block, form.inside, inner), changes);
    } else {
      changes.push_back({inner, option.reloads});
    }
  }
  return changes;
}

}  // namespace assay
