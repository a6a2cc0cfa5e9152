// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_keys.h"

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "agent/secret_json.h"
#include "base/files.h"
#include "crypto/pem.h"

namespace assay {
namespace {

using nlohmann::json;
using SharedSigner = std::shared_ptr<const crypto::Signer>;

constexpr mode_t kFolderMode = 0750;
// The two slots that the key goes into by turns, so that a crash leaves the one of the SVID.
constexpr std::array<std::string_view, 2> kSlots = {"agent-svid-A", "agent-svid-B"};

class MemoryKeys final : public AgentKeys {
 public:
  absl::StatusOr<SharedSigner> Generate() override {
    return crypto::PrivateKey::Generate(crypto::KeyType::kEcP256);
  }
  absl::StatusOr<SharedSigner> Load(const crypto::PublicKey&) override {
    return NotFound("keys are kept in memory alone");
  }
  absl::Status Keep(const crypto::PublicKey&) override { return absl::OkStatus(); }
  absl::Status Retain(const crypto::PublicKey*) override { return absl::OkStatus(); }
};

class DiskKeys final : public AgentKeys {
 public:
  explicit DiskKeys(std::string folder) : folder_(std::move(folder)) {}

  absl::StatusOr<SharedSigner> Generate() override;
  absl::StatusOr<SharedSigner> Load(const crypto::PublicKey& key) override;
  absl::Status Keep(const crypto::PublicKey& key) override;
  absl::Status Retain(const crypto::PublicKey* key) override;

 private:
  std::string Path() const { return folder_ + "/keys.json"; }
  // Writes the text into the slot that is not in use.
  absl::Status Store(const std::string& text);

  const std::string folder_;
  std::shared_ptr<const crypto::PrivateKey> last_;  // Generated or loaded.
  std::shared_ptr<const crypto::PrivateKey> kept_;  // That of the slot.
  int slot_ = -1;                                   // Of the last one kept; -1: none.
};

absl::StatusOr<SharedSigner> DiskKeys::Generate() {
  ASSIGN_OR_RETURN(last_, crypto::PrivateKey::Generate(crypto::KeyType::kEcP256));
  return SharedSigner(last_);
}

absl::StatusOr<SharedSigner> DiskKeys::Load(const crypto::PublicKey& wanted) {
  absl::StatusOr<SecretJson> loaded = LoadSecretJson(Path());
  if (absl::IsDataLoss(loaded.status())) {
    SetAside(Path(), loaded.status());
    return NotFound("{} was damaged", Path());
  }
  RETURN_IF_ERROR(loaded.status());
  SecretJson& document = *loaded;
  const auto keys = document->find("keys");
  if (keys == document->end() || !keys->is_object()) {
    return NotFound("{} has no keys", Path());
  }
  for (size_t slot = 0; slot < kSlots.size(); ++slot) {
    absl::StatusOr<std::string> der = crypto::Base64Decode(StringAt(*keys, kSlots[slot]));
    if (!der.ok() || der->empty()) {
      continue;
    }
    absl::StatusOr<std::unique_ptr<crypto::PrivateKey>> key =
        crypto::PrivateKey::Parse(Secret::TakeFrom(*der));
    if (key.ok() && (*key)->public_key() == wanted) {
      slot_ = static_cast<int>(slot);
      last_ = kept_ = *std::move(key);
      return SharedSigner(last_);
    }
  }
  return NotFound("{} has no key of the agent's SVID", Path());
}

absl::Status DiskKeys::Keep(const crypto::PublicKey& key) {
  const auto is_it = [&](const auto& kept) { return kept != nullptr && kept->public_key() == key; };
  if (!is_it(kept_) && !is_it(last_)) {
    return Internal("the key to keep is not the last one");
  }
  const auto kept = is_it(kept_) ? kept_ : last_;
  std::string text = crypto::Base64Encode(kept->pkcs8().Reveal());
  const absl::Status stored = Store(text);
  Wipe(text.data(), text.size());
  RETURN_IF_ERROR(stored);
  kept_ = kept;
  return absl::OkStatus();
}

absl::Status DiskKeys::Store(const std::string& text) {
  RETURN_IF_ERROR(MakeFolders(folder_, kFolderMode));
  absl::StatusOr<SecretJson> loaded = LoadSecretJson(Path());
  SecretJson document = loaded.ok() ? *std::move(loaded) : SecretJson(json::object());
  json& keys = (*document)["keys"];
  if (!keys.is_object()) {
    keys = json::object();
  }
  for (size_t slot = 0; slot < kSlots.size(); ++slot) {
    if (StringAt(keys, kSlots[slot]) == text) {
      slot_ = static_cast<int>(slot);
      return absl::OkStatus();
    }
  }
  // The key of the SVID on disk stays until the new SVID is there too.
  slot_ = slot_ == 0 ? 1 : 0;
  keys[std::string(kSlots[static_cast<size_t>(slot_)])] = text;
  return SaveSecretJson(Path(), *document);
}

absl::Status DiskKeys::Retain(const crypto::PublicKey* key) {
  if (key == nullptr) {
    kept_ = nullptr;
    slot_ = -1;
  }
  absl::StatusOr<SecretJson> document = LoadSecretJson(Path());
  if (absl::IsNotFound(document.status())) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(document.status());
  json& keys = (**document)["keys"];
  size_t dropped = 0;
  for (size_t slot = 0; keys.is_object() && slot < kSlots.size(); ++slot) {
    const auto at = keys.find(kSlots[slot]);
    if (static_cast<int>(slot) == slot_ || at == keys.end()) {
      continue;
    }
    if (at->is_string()) {
      std::string& text = at->get_ref<std::string&>();
      Wipe(text.data(), text.size());
    }
    keys.erase(at);
    ++dropped;
  }
  return dropped == 0 ? absl::OkStatus() : SaveSecretJson(Path(), **document);
}

}  // namespace

std::unique_ptr<AgentKeys> MakeMemoryKeys() { return std::make_unique<MemoryKeys>(); }
std::unique_ptr<AgentKeys> MakeDiskKeys(const std::string& folder) {
  return std::make_unique<DiskKeys>(folder);
}

}  // namespace assay
