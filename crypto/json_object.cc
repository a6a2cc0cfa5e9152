// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/json_object.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "crypto/digest.h"

namespace assay::crypto {
namespace {

using Json = nlohmann::json;

// Beyond that a double does not say which integer is meant.
constexpr double kLargestExact = 9007199254740992.0;

absl::Status Wanted(std::string_view name, std::string_view kind) {
  return InvalidArgument("member {} is not {}", Quoted(name), kind);
}

void WipeTexts(Json& document) {
  // Documents may be deeper than a stack.
  std::vector<Json*> rest = {&document};
  while (!rest.empty()) {
    Json& value = *rest.back();
    rest.pop_back();
    if (value.is_string()) {
      auto& text = value.get_ref<std::string&>();
      Wipe(text.data(), text.size());
    } else if (value.is_structured()) {
      for (Json& item : value) {
        rest.push_back(&item);
      }
    }
  }
}

}  // namespace

struct JsonObject::Node {
  std::shared_ptr<const Json> document;
  const Json* object;

  const Json* Find(std::string_view name) const {
    const auto found = object->find(std::string(name));
    return found == object->end() || found->is_null() ? nullptr : &*found;
  }
};

absl::StatusOr<JsonObject> JsonObject::Parse(std::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) {
    return InvalidArgument("{} bytes, wanted at most {}", text.size(), max_bytes);
  }
  const std::shared_ptr<const Json> document(
      new Json(Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false)),
      [](Json* whole) {
        WipeTexts(*whole);
        delete whole;
      });
  if (!document->is_object()) {
    return InvalidArgument("not a JSON object");
  }
  const Json* object = document.get();
  return JsonObject(std::make_shared<const Node>(Node{document, object}));
}

bool JsonObject::Contains(std::string_view name) const {
  return node_->object->contains(std::string(name));
}

bool JsonObject::Has(std::string_view name) const { return node_->Find(name) != nullptr; }

absl::StatusOr<std::string> JsonObject::Text(std::string_view name) const {
  const Json* member = node_->Find(name);
  if (member == nullptr || !member->is_string()) {
    return Wanted(name, "a string");
  }
  return member->get<std::string>();
}

absl::StatusOr<Secret> JsonObject::SecretText(std::string_view name) const {
  const Json* member = node_->Find(name);
  if (member == nullptr || !member->is_string()) {
    return Wanted(name, "a string");
  }
  return Secret(member->get_ref<const std::string&>());
}

absl::StatusOr<std::string> JsonObject::Bytes(std::string_view name) const {
  ASSIGN_OR_RETURN(const std::string text, Text(name));
  absl::StatusOr<std::string> bytes = Base64Decode(text);
  return bytes.ok() ? std::move(bytes) : Wanted(name, "base64");
}

absl::StatusOr<int64_t> JsonObject::Integer(std::string_view name) const {
  const Json* member = node_->Find(name);
  if (member != nullptr && member->is_number_unsigned() &&
      member->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)) {
    return static_cast<int64_t>(member->get<uint64_t>());
  }
  if (member != nullptr && member->is_number_integer() && !member->is_number_unsigned()) {
    return member->get<int64_t>();
  }
  if (member != nullptr && member->is_number_float() &&
      std::abs(member->get<double>()) <= kLargestExact) {
    return static_cast<int64_t>(member->get<double>());
  }
  return Wanted(name, "a number");
}

absl::StatusOr<JsonObject> JsonObject::Object(std::string_view name) const {
  const Json* member = node_->Find(name);
  if (member == nullptr || !member->is_object()) {
    return Wanted(name, "an object");
  }
  return JsonObject(std::make_shared<const Node>(Node{node_->document, member}));
}

absl::StatusOr<std::vector<std::string>> JsonObject::Texts(std::string_view name,
                                                           size_t max) const {
  const Json* member = node_->Find(name);
  if (member != nullptr && member->is_string()) {
    return std::vector<std::string>{member->get<std::string>()};
  }
  if (member == nullptr || !member->is_array()) {
    return Wanted(name, "an array of strings");
  }
  if (member->size() > max) {
    return InvalidArgument("member {} has {} items, wanted at most {}", Quoted(name),
                           member->size(), max);
  }
  std::vector<std::string> texts;
  for (const Json& item : *member) {
    if (!item.is_string()) {
      return Wanted(name, "an array of strings");
    }
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

absl::StatusOr<std::vector<JsonObject>> JsonObject::Objects(std::string_view name,
                                                            size_t max) const {
  const Json* member = node_->Find(name);
  if (member == nullptr || !member->is_array()) {
    return Wanted(name, "an array of objects");
  }
  if (member->size() > max) {
    return InvalidArgument("member {} has {} items, wanted at most {}", Quoted(name),
                           member->size(), max);
  }
  std::vector<JsonObject> objects;
  for (const Json& item : *member) {
    if (!item.is_object()) {
      return Wanted(name, "an array of objects");
    }
    objects.push_back(JsonObject(std::make_shared<const Node>(Node{node_->document, &item})));
  }
  return objects;
}

}  // namespace assay::crypto
