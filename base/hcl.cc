// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/hcl.h"

#include <algorithm>
#include <utility>

#include "base/hcl_scanner.h"
#include "base/secret.h"

namespace assay {
namespace {

// Of one object: far more than any configuration has, few enough to look through.
constexpr size_t kMaxMembers = 4096;

using Kind = ConfigValue::Kind;
using TokenKind = ConfigToken::Kind;

std::string Found(const ConfigToken& token) {
  switch (token.kind) {
    case TokenKind::kEnd:
      return "the end of the text";
    case TokenKind::kString:
      return "the string " + Quoted(token.text);
    default:
      return Quoted(token.text);
  }
}

// A key in front of a value: its name and where it stands.
struct Key {
  std::string name;
  ConfigPosition position;
};

class ConfigParser final {
 public:
  ConfigParser(std::string_view name, std::string_view text, ConfigSyntax syntax)
      : scanner_(name, text, syntax), syntax_(syntax) {}

  absl::StatusOr<ConfigValue> ParseRoot() {
    RETURN_IF_ERROR(Advance());
    ConfigValue root;
    if (syntax_ == ConfigSyntax::kJson) {
      ASSIGN_OR_RETURN(root, ParseValue(0));
    } else {
      root.kind = Kind::kObject;
      while (token_.kind != TokenKind::kEnd) {
        RETURN_IF_ERROR(ParseHclMember(root, 1));
      }
    }
    return token_.kind == TokenKind::kEnd ? absl::StatusOr<ConfigValue>(std::move(root))
                                          : Expected("the end of the text");
  }

 private:
  absl::Status Advance() {
    ASSIGN_OR_RETURN(token_, scanner_.Next());
    return absl::OkStatus();
  }

  absl::Status Expected(std::string_view what) const {
    return scanner_.Error(token_.position,
                          fmt::format("expected {}, found {}", what, Found(token_)));
  }

  absl::Status TooDeep() const {
    return scanner_.Error(token_.position,
                          fmt::format("expected at most {} nested values", kMaxConfigDepth));
  }

  absl::StatusOr<ConfigValue> ParseValue(int depth) {
    if (depth > kMaxConfigDepth) {
      return TooDeep();
    }
    if (token_.Is('{')) {
      return syntax_ == ConfigSyntax::kJson ? ParseJsonObject(depth) : ParseHclObject(depth);
    }
    if (token_.Is('[')) {
      return ParseList(depth);
    }
    ConfigValue value;
    value.position = token_.position;
    switch (token_.kind) {
      case TokenKind::kString:
        value.kind = Kind::kString;
        break;
      case TokenKind::kNumber:
        value.kind = Kind::kNumber;
        break;
      case TokenKind::kBool:
        value.kind = Kind::kBool;
        value.boolean = token_.text == "true";
        break;
      case TokenKind::kNull:
        break;
      default:
        return Expected("a value (a text stands in double quotes)");
    }
    value.text = std::move(token_.text);
    RETURN_IF_ERROR(Advance());
    return value;
  }

  absl::StatusOr<ConfigValue> ParseList(int depth) {
    ConfigValue list;
    list.kind = Kind::kList;
    list.position = token_.position;
    RETURN_IF_ERROR(Advance());
    bool after_comma = false;
    while (!token_.Is(']')) {
      ASSIGN_OR_RETURN(ConfigValue item, ParseValue(depth + 1));
      list.items.push_back(std::move(item));
      after_comma = token_.Is(',');
      if (!after_comma && !token_.Is(']')) {
        return Expected("',' or ']' after an item of a list");
      }
      if (after_comma) {
        RETURN_IF_ERROR(Advance());
      }
    }
    if (after_comma && syntax_ == ConfigSyntax::kJson) {
      return Expected("an item after ','");
    }
    RETURN_IF_ERROR(Advance());
    return list;
  }

  absl::StatusOr<ConfigValue> ParseJsonObject(int depth) {
    ConfigValue object;
    object.kind = Kind::kObject;
    object.position = token_.position;
    RETURN_IF_ERROR(Advance());
    while (!token_.Is('}')) {
      if (token_.kind != TokenKind::kString) {
        return Expected("a name in double quotes");
      }
      Key key{std::move(token_.text), token_.position};
      RETURN_IF_ERROR(Advance());
      if (!token_.Is(':')) {
        return Expected("':' after a name");
      }
      RETURN_IF_ERROR(Advance());
      ASSIGN_OR_RETURN(ConfigValue value, ParseValue(depth + 1));
      RETURN_IF_ERROR(AddAttribute(object, std::move(key), std::move(value)));
      if (token_.Is('}')) {
        break;
      }
      if (!token_.Is(',')) {
        return Expected("',' or '}' after a member of an object");
      }
      RETURN_IF_ERROR(Advance());
      if (token_.Is('}')) {
        return Expected("a member after ','");
      }
    }
    RETURN_IF_ERROR(Advance());
    return object;
  }

  absl::StatusOr<ConfigValue> ParseHclObject(int depth) {
    ConfigValue object;
    object.kind = Kind::kObject;
    object.position = token_.position;
    RETURN_IF_ERROR(Advance());
    while (!token_.Is('}')) {
      RETURN_IF_ERROR(ParseHclMember(object, depth + 1));
    }
    RETURN_IF_ERROR(Advance());
    return object;
  }

  // `name = value`, `name "label" ... { ... }` or `name { ... }`, and the comma that may follow.
  absl::Status ParseHclMember(ConfigValue& object, int depth) {
    std::vector<Key> keys;
    while (token_.kind == TokenKind::kIdentifier || token_.kind == TokenKind::kString) {
      if (static_cast<int>(keys.size()) + depth > kMaxConfigDepth) {
        return TooDeep();
      }
      keys.push_back({std::move(token_.text), token_.position});
      RETURN_IF_ERROR(Advance());
    }
    if (keys.empty()) {
      return Expected(depth > 1 ? "a name or '}'" : "a name");
    }
    const int value_depth = depth + static_cast<int>(keys.size()) - 1;
    if (token_.Is('=') && keys.size() == 1) {
      RETURN_IF_ERROR(Advance());
      const bool is_block = token_.Is('{');
      ASSIGN_OR_RETURN(ConfigValue value, ParseValue(value_depth));
      RETURN_IF_ERROR(is_block ? AddBlock(object, std::move(keys[0]), std::move(value))
                               : AddAttribute(object, std::move(keys[0]), std::move(value)));
    } else if (token_.Is('{')) {
      ASSIGN_OR_RETURN(ConfigValue value, ParseValue(value_depth));
      for (; keys.size() > 1; keys.pop_back()) {
        ConfigValue outer;
        outer.kind = Kind::kObject;
        outer.position = keys.back().position;
        outer.members.push_back(
            {std::move(keys.back().name), keys.back().position, std::move(value)});
        value = std::move(outer);
      }
      RETURN_IF_ERROR(AddBlock(object, std::move(keys[0]), std::move(value)));
    } else {
      return Expected(keys.size() == 1 ? "'=' or '{' after a name" : "'{' after a label");
    }
    return token_.Is(',') ? Advance() : absl::OkStatus();
  }

  ConfigMember* FindMember(ConfigValue& object, const std::string& name) {
    const auto at = std::find_if(object.members.begin(), object.members.end(),
                                 [&](const ConfigMember& member) { return member.name == name; });
    return at == object.members.end() ? nullptr : &*at;
  }

  absl::Status SetTwice(const Key& key, const ConfigMember& first) const {
    return scanner_.Error(key.position, fmt::format("expected {} once, it is set in line {} too",
                                                    Quoted(key.name), first.position.line));
  }

  absl::Status AddAttribute(ConfigValue& object, Key key, ConfigValue value) {
    if (const ConfigMember* first = FindMember(object, key.name); first != nullptr) {
      return SetTwice(key, *first);
    }
    return Append(object, std::move(key), std::move(value));
  }

  absl::Status Append(ConfigValue& object, Key key, ConfigValue value) {
    if (object.members.size() == kMaxMembers) {
      return scanner_.Error(key.position, fmt::format("expected at most {} names", kMaxMembers));
    }
    object.members.push_back({std::move(key.name), key.position, std::move(value)});
    return absl::OkStatus();
  }

  // Blocks of one name gather in a list.
  absl::Status AddBlock(ConfigValue& object, Key key, ConfigValue value) {
    ConfigMember* first = FindMember(object, key.name);
    if (first == nullptr) {
      return Append(object, std::move(key), std::move(value));
    }
    ConfigValue& there = first->value;
    if (there.kind == Kind::kObject) {
      ConfigValue list;
      list.kind = Kind::kList;
      list.position = there.position;
      list.items.push_back(std::move(there));
      there = std::move(list);
    } else if (there.kind != Kind::kList) {
      return SetTwice(key, *first);
    }
    there.items.push_back(std::move(value));
    return absl::OkStatus();
  }

  ConfigScanner scanner_;
  const ConfigSyntax syntax_;
  ConfigToken token_;
};

}  // namespace

const ConfigValue* ConfigValue::Find(std::string_view name) const {
  for (const ConfigMember& member : members) {
    if (member.name == name) {
      return &member.value;
    }
  }
  return nullptr;
}

std::vector<const ConfigValue*> ConfigValue::Blocks() const {
  std::vector<const ConfigValue*> blocks;
  if (kind == Kind::kObject) {
    blocks.push_back(this);
  }
  for (const ConfigValue& item : items) {
    if (item.kind == Kind::kObject) {
      blocks.push_back(&item);
    }
  }
  return blocks;
}

void WipeTexts(ConfigValue& value) {
  Wipe(value.text.data(), value.text.size());
  for (ConfigValue& item : value.items) {
    WipeTexts(item);
  }
  for (ConfigMember& member : value.members) {
    WipeTexts(member.value);
  }
}

std::string_view KindName(ConfigValue::Kind kind) {
  switch (kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "a boolean";
    case Kind::kNumber:
      return "a number";
    case Kind::kString:
      return "a string";
    case Kind::kList:
      return "a list";
    case Kind::kObject:
      return "a block";
  }
  return "";
}

absl::StatusOr<ConfigValue> ParseConfig(std::string_view name, std::string_view text) {
  if (text.size() > kMaxConfigBytes) {
    return InvalidArgument("{}: expected at most {} bytes, found {}", name, kMaxConfigBytes,
                           text.size());
  }
  const size_t first = text.find_first_not_of(" \t\r\n");
  const bool json = first != std::string_view::npos && text[first] == '{';
  return ConfigParser(name, text, json ? ConfigSyntax::kJson : ConfigSyntax::kHcl).ParseRoot();
}

}  // namespace assay
