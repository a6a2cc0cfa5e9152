// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/cli_entry_file.h"

#include <algorithm>
#include <istream>
#include <nlohmann/json.hpp>

#include "authority/cli_output.h"
#include "base/files.h"
#include "spiffe/trust_domain.h"
#include "spire/api/types/entry.pb.h"

namespace assay {
namespace {

using Json = nlohmann::json;
namespace types = spire::api::types;

bool SameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

// The member of an object, null when it is absent or null.
const Json* FindMember(const Json& object, std::string_view name) {
  for (auto member = object.begin(); member != object.end(); ++member) {
    if (SameName(member.key(), name) && !member->is_null()) {
      return &*member;
    }
  }
  return nullptr;
}

// Reads the members of one object, and keeps the first mistake.
class ObjectReader final {
 public:
  explicit ObjectReader(const Json& object) : object_(object) {
    if (!object.is_object()) {
      status_ = InvalidArgument("wanted an object, found {}", object.type_name());
    }
  }

  std::string Text(std::string_view name) {
    const Json* member = Find(name, "a string", &Json::is_string);
    return member == nullptr ? "" : member->get<std::string>();
  }
  bool Flag(std::string_view name) {
    const Json* member = Find(name, "true or false", &Json::is_boolean);
    return member != nullptr && member->get<bool>();
  }
  int64_t Number(std::string_view name) {
    const Json* member = Find(name, "a whole number", &Json::is_number_integer);
    return member == nullptr ? 0 : member->get<int64_t>();
  }
  int32_t Seconds(std::string_view name) {
    auto seconds = ToInt32(Number(name), name);
    Keep(seconds.status());
    return seconds.value_or(0);
  }
  // Of an absent list, an empty one.
  const Json& List(std::string_view name) {
    static const Json empty = Json::array();
    const Json* member = Find(name, "a list", &Json::is_array);
    return member == nullptr ? empty : *member;
  }
  const Json* Object(std::string_view name) { return Find(name, "an object", &Json::is_object); }
  std::vector<std::string> Texts(std::string_view name) {
    std::vector<std::string> texts;
    for (const Json& item : List(name)) {
      if (!item.is_string()) {
        Keep(InvalidArgument("{}: wanted strings, found {}", name, item.type_name()));
        break;
      }
      texts.push_back(item.get<std::string>());
    }
    return texts;
  }

  void Keep(const absl::Status& status) { status_.Update(status); }
  const absl::Status& status() const { return status_; }

 private:
  const Json* Find(std::string_view name, std::string_view wanted,
                   bool (Json::*is_kind)() const noexcept) {
    if (!status_.ok()) {
      return nullptr;
    }
    const Json* member = FindMember(object_, name);
    if (member != nullptr && !(member->*is_kind)()) {
      status_ = InvalidArgument("{}: wanted {}, found {}", name, wanted, member->type_name());
      return nullptr;
    }
    return member;
  }

  const Json& object_;
  absl::Status status_;
};

absl::StatusOr<types::SPIFFEID> ReadId(ObjectReader& reader, std::string_view member,
                                       std::string_view what) {
  const std::string text = reader.Text(member);
  RETURN_IF_ERROR(reader.status());
  if (text.empty()) {
    return InvalidArgument("invalid {}: cannot be empty", what);
  }
  auto id = ParseIdFlag(text);
  if (!id.ok()) {
    return WithContext(id.status(), fmt::format("invalid {}", what));
  }
  return id;
}

absl::Status ReadSelectors(ObjectReader& reader, types::Entry& entry) {
  for (const Json& item : reader.List("selectors")) {
    ObjectReader fields(item);
    types::Selector& selector = *entry.add_selectors();
    selector.set_type(fields.Text("type"));
    selector.set_value(fields.Text("value"));
    if (!fields.status().ok()) {
      return WithContext(fields.status(), "selectors");
    }
  }
  return reader.status();
}

// A trust domain stands as its name or as its SPIFFE ID.
absl::Status ReadFederation(ObjectReader& reader, types::Entry& entry) {
  constexpr std::string_view kScheme = "spiffe://";
  for (const std::string& text : reader.Texts("federates_with")) {
    std::string_view name = text;
    if (name.starts_with(kScheme)) {
      name.remove_prefix(kScheme.size());
    }
    auto trust_domain = TrustDomain::Parse(name);
    if (!trust_domain.ok()) {
      return WithContext(trust_domain.status(), "invalid federated trust domain");
    }
    entry.add_federates_with(trust_domain->name());
  }
  return reader.status();
}

absl::StatusOr<types::Entry> ReadEntry(const Json& json) {
  ObjectReader reader(json);
  types::Entry entry;
  ASSIGN_OR_RETURN(*entry.mutable_spiffe_id(), ReadId(reader, "spiffe_id", "SPIFFE ID"));
  ASSIGN_OR_RETURN(*entry.mutable_parent_id(), ReadId(reader, "parent_id", "parent ID"));
  RETURN_IF_ERROR(ReadSelectors(reader, entry));
  RETURN_IF_ERROR(ReadFederation(reader, entry));
  entry.set_id(reader.Text("entry_id"));
  entry.set_x509_svid_ttl(reader.Seconds("x509_svid_ttl"));
  entry.set_jwt_svid_ttl(reader.Seconds("jwt_svid_ttl"));
  entry.set_admin(reader.Flag("admin"));
  entry.set_downstream(reader.Flag("downstream"));
  entry.set_expires_at(reader.Number("entryExpiry"));
  for (std::string& name : reader.Texts("dns_names")) {
    entry.add_dns_names(std::move(name));
  }
  entry.set_revision_number(reader.Number("revision_number"));
  entry.set_store_svid(reader.Flag("store_svid"));
  entry.set_hint(reader.Text("hint"));
  entry.set_created_at(reader.Number("created_at"));
  if (const Json* attributes = reader.Object("additional_attributes"); attributes != nullptr) {
    ObjectReader fields(*attributes);
    auto* added = entry.mutable_additional_attributes();
    added->set_disable_x509_svid_prefetch(fields.Flag("disable_x509_svid_prefetch"));
    added->set_jwt_svid_include_jti(fields.Flag("jwt_svid_include_jti"));
    reader.Keep(fields.status());
  }
  RETURN_IF_ERROR(reader.status());
  return entry;
}

absl::StatusOr<Json> ParseJson(std::string_view text) {
  Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_discarded()) {
    return InvalidArgument("not JSON, or cut off");
  }
  if (!json.is_object()) {
    return InvalidArgument("wanted a JSON object, found {}", json.type_name());
  }
  return json;
}

}  // namespace

absl::StatusOr<std::string> ReadEntryFile(const std::string& path, std::istream& in) {
  if (path != "-") {
    return ReadFile(path, kMaxEntryFileBytes);
  }
  std::string text;
  char buffer[65536];
  while (in.read(buffer, sizeof(buffer)) || in.gcount() > 0) {
    text.append(buffer, static_cast<size_t>(in.gcount()));
    if (text.size() > kMaxEntryFileBytes) {
      return InvalidArgument("standard input: more than {} bytes", kMaxEntryFileBytes);
    }
  }
  return text;
}

absl::StatusOr<std::vector<types::Entry>> ParseEntries(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  ObjectReader reader(json);
  std::vector<types::Entry> entries;
  for (const Json& item : reader.List("entries")) {
    auto entry = ReadEntry(item);
    if (!entry.ok()) {
      return WithContext(entry.status(), fmt::format("entry {}", entries.size() + 1));
    }
    entries.push_back(*std::move(entry));
  }
  RETURN_IF_ERROR(reader.status());
  return entries;
}

absl::StatusOr<std::vector<std::string>> ParseEntryIds(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  ObjectReader reader(json);
  std::vector<std::string> ids = reader.Texts("ids");
  RETURN_IF_ERROR(reader.status());
  return ids;
}

}  // namespace assay
