// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_disk.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/files.h"
#include "crypto/digest.h"
#include "crypto/pem.h"

namespace assay {
namespace {

using nlohmann::json;

// The two slots that the key goes into by turns, so that a crash leaves the one of the SVID.
constexpr std::string_view kKeyNames[] = {"agent-svid-A", "agent-svid-B"};
constexpr mode_t kFileMode = 0600;
constexpr mode_t kFolderMode = 0750;
constexpr std::string_view kCertificateLabel = "CERTIFICATE";

// A document that may hold keys: its texts are wiped when it dies.
class SecretJson final {
 public:
  explicit SecretJson(json document) : document_(std::move(document)) {}
  SecretJson(SecretJson&& other) noexcept : document_(std::exchange(other.document_, nullptr)) {}
  SecretJson& operator=(SecretJson&&) = delete;
  ~SecretJson() { WipeTexts(document_); }

  json& operator*() { return document_; }
  json* operator->() { return &document_; }

 private:
  static void WipeTexts(json& value) {
    if (value.is_string()) {
      std::string& text = value.get_ref<std::string&>();
      Wipe(text.data(), text.size());
    } else if (value.is_structured()) {
      for (json& item : value) {
        WipeTexts(item);
      }
    }
  }

  json document_;
};

// The object in a file; NotFound when there is no file.
absl::StatusOr<SecretJson> LoadJson(const std::string& path) {
  ASSIGN_OR_RETURN(const Secret text, ReadSecretFile(path));
  SecretJson document(json::parse(text.Reveal(), nullptr, /*allow_exceptions=*/false));
  if (!document->is_object()) {
    return DataLoss("{} is not a JSON object; move it away to begin anew", path);
  }
  return document;
}

std::string_view StringAt(const json& object, std::string_view name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? std::string_view(at->get_ref<const std::string&>())
                                               : std::string_view();
}

// A list of certificates, each base64 of DER or of PEM.
absl::StatusOr<std::vector<crypto::Certificate>> ParseCertificates(const json& list) {
  std::vector<crypto::Certificate> certificates;
  for (const json& item : list) {
    if (!item.is_string()) {
      return DataLoss("a certificate that is no string");
    }
    ASSIGN_OR_RETURN(const std::string bytes,
                     crypto::Base64Decode(item.get_ref<const std::string&>()));
    if (bytes.starts_with("-----BEGIN")) {
      ASSIGN_OR_RETURN(auto parsed, crypto::Certificate::ParsePem(bytes));
      certificates.insert(certificates.end(), parsed.begin(), parsed.end());
    } else {
      ASSIGN_OR_RETURN(auto parsed, crypto::Certificate::ParseConcatenated(bytes));
      certificates.insert(certificates.end(), parsed.begin(), parsed.end());
    }
  }
  return certificates;
}

absl::StatusOr<std::vector<crypto::Certificate>> CertificatesAt(const json& object,
                                                                std::string_view name,
                                                                const std::string& path) {
  const auto at = object.find(name);
  if (at == object.end() || at->is_null()) {
    return std::vector<crypto::Certificate>();
  }
  auto parsed = at->is_array() ? ParseCertificates(*at) : DataLoss("no list of certificates");
  if (!parsed.ok()) {
    return DataLoss("{}: {}: {}; move it away to begin anew", path, name, Message(parsed.status()));
  }
  return parsed;
}

json ToJson(const std::vector<crypto::Certificate>& certificates) {
  json list = json::array();
  for (const crypto::Certificate& certificate : certificates) {
    list.push_back(crypto::Base64Encode(crypto::PemEncode(kCertificateLabel, certificate.der())));
  }
  return list;
}

// A JSON document with a key in it, whose text is wiped.
absl::Status SaveSecretJson(const std::string& path, const json& document) {
  std::string text = document.dump(1, '\t', false, json::error_handler_t::replace);
  const absl::Status saved = WriteFileAtomically(path, text, kFileMode);
  Wipe(text.data(), text.size());
  return saved;
}

}  // namespace

absl::StatusOr<AgentState> AgentDisk::Load() {
  AgentState state;
  absl::StatusOr<SecretJson> loaded = LoadJson(data_path());
  if (absl::IsNotFound(loaded.status())) {
    return state;
  }
  RETURN_IF_ERROR(loaded.status());
  SecretJson& document = *loaded;
  ASSIGN_OR_RETURN(state.bundle, CertificatesAt(*document, "bundle", data_path()));
  ASSIGN_OR_RETURN(std::vector<crypto::Certificate> chain,
                   CertificatesAt(*document, "svid", data_path()));
  if (chain.empty()) {
    return state;
  }
  const absl::StatusOr<std::shared_ptr<const crypto::PrivateKey>> key = LoadKeyOf(chain.front());
  if (absl::IsNotFound(key.status())) {
    return state;
  }
  RETURN_IF_ERROR(key.status());
  const auto reattestable = document->find("reattestable");
  state.svid = {.chain = std::move(chain),
                .key = *key,
                .reattestable = reattestable != document->end() && reattestable->is_boolean() &&
                                reattestable->get<bool>()};
  return state;
}

absl::StatusOr<std::shared_ptr<const crypto::PrivateKey>> AgentDisk::LoadKeyOf(
    const crypto::Certificate& leaf) {
  if (key_folder_.empty()) {
    return NotFound("keys are kept in memory alone");
  }
  ASSIGN_OR_RETURN(SecretJson document, LoadJson(KeyPath()));
  const auto keys = document->find("keys");
  if (keys == document->end() || !keys->is_object()) {
    return NotFound("{} has no keys", KeyPath());
  }
  for (int slot = 0; slot < static_cast<int>(std::size(kKeyNames)); ++slot) {
    absl::StatusOr<std::string> der = crypto::Base64Decode(StringAt(*keys, kKeyNames[slot]));
    if (!der.ok() || der->empty()) {
      continue;
    }
    absl::StatusOr<std::unique_ptr<crypto::PrivateKey>> key =
        crypto::PrivateKey::Parse(Secret::TakeFrom(*der));
    if (key.ok() && (*key)->public_key() == leaf.public_key()) {
      slot_ = slot;
      return std::shared_ptr<const crypto::PrivateKey>(*std::move(key));
    }
  }
  return NotFound("{} has no key of the agent's SVID", KeyPath());
}

absl::Status AgentDisk::SaveKey(const crypto::PrivateKey& key) {
  RETURN_IF_ERROR(MakeFolders(key_folder_, kFolderMode));
  absl::StatusOr<SecretJson> loaded = LoadJson(KeyPath());
  SecretJson document = loaded.ok() ? *std::move(loaded) : SecretJson(json::object());
  json& keys = (*document)["keys"];
  if (!keys.is_object()) {
    keys = json::object();
  }
  std::string text = crypto::Base64Encode(key.pkcs8().Reveal());
  for (int slot = 0; slot < static_cast<int>(std::size(kKeyNames)); ++slot) {
    if (StringAt(keys, kKeyNames[slot]) == text) {
      Wipe(text.data(), text.size());
      slot_ = slot;
      return absl::OkStatus();
    }
  }
  // The key of the SVID on disk stays until the new SVID is there too.
  slot_ = slot_ == 0 ? 1 : 0;
  keys[std::string(kKeyNames[slot_])] = text;
  Wipe(text.data(), text.size());
  return SaveSecretJson(KeyPath(), *document);
}

absl::Status AgentDisk::DropKeys(int kept) {
  absl::StatusOr<SecretJson> document = LoadJson(KeyPath());
  if (absl::IsNotFound(document.status())) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(document.status());
  json& keys = (**document)["keys"];
  size_t dropped = 0;
  for (int slot = 0; keys.is_object() && slot < static_cast<int>(std::size(kKeyNames)); ++slot) {
    if (const auto at = keys.find(kKeyNames[slot]); slot != kept && at != keys.end()) {
      if (at->is_string()) {
        std::string& text = at->get_ref<std::string&>();
        Wipe(text.data(), text.size());
      }
      keys.erase(at);
      ++dropped;
    }
  }
  return dropped == 0 ? absl::OkStatus() : SaveSecretJson(KeyPath(), **document);
}

absl::Status AgentDisk::Save(const AgentState& state) {
  RETURN_IF_ERROR(MakeFolders(data_folder_, kFolderMode));
  if (state.svid.has_value() && !key_folder_.empty()) {
    RETURN_IF_ERROR(SaveKey(*state.svid->key));
  }
  // The fields of the reference that say nothing here are written as it writes them at rest.
  const json document = {{"svid", state.svid.has_value() ? ToJson(state.svid->chain) : json()},
                         {"bundle", ToJson(state.bundle)},
                         {"reattestable", state.svid.has_value() && state.svid->reattestable},
                         {"bootstrap_use", 0},
                         {"bootstrap_start_time", "0001-01-01T00:00:00Z"},
                         {"connection_attempts", 0}};
  RETURN_IF_ERROR(SaveSecretJson(data_path(), document));
  if (key_folder_.empty()) {
    return absl::OkStatus();
  }
  // The SVID on disk has no use for the key before its own; without an SVID there is none for both.
  slot_ = state.svid.has_value() ? slot_ : -1;
  return DropKeys(slot_);
}

}  // namespace assay
