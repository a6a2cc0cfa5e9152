// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/hcl_printer.h"

#include <fmt/format.h>

#include <algorithm>

namespace assay {
namespace {

using Kind = ConfigValue::Kind;

void PrintBody(const ConfigValue& object, int depth, std::string& out);

// The text from ${ to its } stays as it is: HCL reads no escapes there.
size_t InterpolationSize(std::string_view text) {
  int depth = 0;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '{') {
      ++depth;
    } else if (text[i] == '}' && --depth == 0) {
      return i + 1;
    }
  }
  return 0;
}

void PrintText(std::string_view text, std::string& out) {
  out += '"';
  while (!text.empty()) {
    const size_t raw = text.starts_with("${") ? InterpolationSize(text) : 0;
    if (raw > 0) {
      out += text.substr(0, raw);
      text.remove_prefix(raw);
      continue;
    }
    const auto byte = static_cast<unsigned char>(text[0]);
    if (text.starts_with("${")) {
      out += "\\x24";  // Without an end it would be none.
    } else if (byte == '"' || byte == '\\') {
      out += {'\\', text[0]};
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += text[0];
    }
    text.remove_prefix(1);
  }
  out += '"';
}

void PrintName(std::string_view name, std::string& out) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  const bool plain = !name.empty() && is_letter(name[0]) &&
                     std::all_of(name.begin(), name.end(), [&is_letter](char c) {
                       return is_letter(c) || (c >= '0' && c <= '9') || c == '-';
                     });
  if (plain) {
    out += name;
  } else {
    PrintText(name, out);
  }
}

void PrintObject(const ConfigValue& value, int depth, std::string& out) {
  out += "{\n";
  PrintBody(value, depth + 1, out);
  out.append(2 * static_cast<size_t>(depth), ' ');
  out += '}';
}

void PrintValue(const ConfigValue& value, int depth, std::string& out) {
  switch (value.kind) {
    case Kind::kBool:
      out += value.boolean ? "true" : "false";
      return;
    case Kind::kNumber:
      out += value.text;
      return;
    case Kind::kString:
      PrintText(value.text, out);
      return;
    case Kind::kList:
      out += '[';
      for (size_t i = 0; i < value.items.size(); ++i) {
        out += i == 0 ? "" : ", ";
        PrintValue(value.items[i], depth, out);
      }
      out += ']';
      return;
    case Kind::kObject:
      PrintObject(value, depth, out);
      return;
    case Kind::kNull:
      return;  // Of members, an absent one.
  }
}

bool IsOfBlocks(const ConfigValue& value) {
  return value.kind == Kind::kObject ||
         (value.kind == Kind::kList && !value.items.empty() &&
          std::all_of(value.items.begin(), value.items.end(),
                      [](const ConfigValue& item) { return item.kind == Kind::kObject; }));
}

void PrintBody(const ConfigValue& object, int depth, std::string& out) {
  const std::string indent(2 * static_cast<size_t>(depth), ' ');
  for (const ConfigMember& member : object.members) {
    if (member.value.kind == Kind::kNull) {
      continue;
    }
    if (!IsOfBlocks(member.value)) {
      out += indent;
      PrintName(member.name, out);
      out += " = ";
      PrintValue(member.value, depth, out);
      out += '\n';
      continue;
    }
    for (const ConfigValue* block : member.value.Blocks()) {
      out += indent;
      PrintName(member.name, out);
      out += ' ';
      PrintObject(*block, depth, out);
      out += '\n';
    }
  }
}

}  // namespace

std::string PrintHcl(const ConfigValue& object) {
  std::string out;
  PrintBody(object, 0, out);
  return out;
}

}  // namespace assay
