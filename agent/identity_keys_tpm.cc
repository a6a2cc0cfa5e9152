// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_keys_tpm.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/files.h"
#include "tpm/key_file.h"
#include "tpm/structures.h"

namespace assay {
namespace {

using SharedSigner = std::shared_ptr<const crypto::Signer>;

constexpr mode_t kFolderMode = 0750;

// PermissionDenied, of a password, would be taken for the upstream's refusal of the node, and
// NotFound, of a device, for a key that is not there.
absl::Status ForOperator(const absl::Status& status) {
  return absl::IsPermissionDenied(status) || absl::IsNotFound(status)
             ? FailedPrecondition("{}", Message(status))
             : status;
}

// What no TPM can use is of no more use than the key of another TPM.
absl::Status LostIfDamaged(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsInvalidArgument(status)
             ? MakeStatus(absl::StatusCode::kAborted, Message(status))
             : status;
}

absl::StatusOr<crypto::PublicKey> PublicKeyOf(const tpm::KeyBlobs& blobs) {
  ASSIGN_OR_RETURN(const tpm::PublicArea area, tpm::ParsePublicBlob(blobs.public_area));
  return area.Key();
}

class TpmKeys final : public AgentKeys {
 public:
  explicit TpmKeys(TpmKeysOptions options) : options_(std::move(options)) {
    passwords_.owner = std::move(options_.owner_hierarchy_password);
  }

  absl::StatusOr<SharedSigner> Generate() override;
  absl::StatusOr<SharedSigner> Load(const crypto::PublicKey& key) override;
  absl::Status Keep(const crypto::PublicKey& key) override;
  absl::Status Retain(const crypto::PublicKey* key) override;

 private:
  struct Key {
    crypto::PublicKey public_key;
    tpm::KeyBlobs blobs;
  };

  absl::StatusOr<SharedSigner> SignerOf(tpm::Tpm& tpm, const Key& key) const;
  absl::Status Save(const std::vector<Key>& keys);

  TpmKeysOptions options_;
  tpm::Passwords passwords_;
  std::optional<Key> last_;  // Generated or loaded.
  std::vector<Key> kept_;    // In the file.
};

absl::StatusOr<SharedSigner> TpmKeys::SignerOf(tpm::Tpm& tpm, const Key& key) const {
  tpm::Passwords passwords;
  passwords.owner = passwords_.owner.Clone();
  return tpm::MakeKeySigner(tpm, key.blobs, std::move(passwords));
}

absl::StatusOr<SharedSigner> TpmKeys::Generate() {
  const absl::StatusOr<tpm::Tpm*> tpm = options_.tpm->Get();
  RETURN_IF_ERROR(ForOperator(tpm.status()));
  absl::StatusOr<tpm::KeyBlobs> made = (*tpm)->CreateKey(options_.type, passwords_);
  RETURN_IF_ERROR(ForOperator(made.status()));
  ASSIGN_OR_RETURN(crypto::PublicKey key, PublicKeyOf(*made));
  last_ = Key{.public_key = std::move(key), .blobs = *std::move(made)};
  return SignerOf(**tpm, *last_);
}

absl::StatusOr<SharedSigner> TpmKeys::Load(const crypto::PublicKey& wanted) {
  absl::StatusOr<std::vector<tpm::KeyBlobs>> blobs = tpm::LoadKeyFile(options_.path);
  RETURN_IF_ERROR(LostIfDamaged(blobs.status()));
  kept_.clear();
  for (tpm::KeyBlobs& each : *blobs) {
    if (absl::StatusOr<crypto::PublicKey> key = PublicKeyOf(each); key.ok()) {
      kept_.push_back({.public_key = *std::move(key), .blobs = std::move(each)});
    }
  }
  const auto found = std::find_if(kept_.begin(), kept_.end(),
                                  [&](const Key& key) { return key.public_key == wanted; });
  if (found == kept_.end()) {
    return NotFound("{} has no key of the agent's SVID", options_.path);
  }
  // In front, where the next one finds the one before it.
  std::rotate(kept_.begin(), found, found + 1);
  const absl::StatusOr<tpm::Tpm*> tpm = options_.tpm->Get();
  RETURN_IF_ERROR(ForOperator(tpm.status()));
  const absl::Status checked = (*tpm)->CheckKey(kept_.front().blobs, passwords_);
  RETURN_IF_ERROR(LostIfDamaged(ForOperator(checked)));
  last_ = kept_.front();
  return SignerOf(**tpm, *last_);
}

absl::Status TpmKeys::Keep(const crypto::PublicKey& key) {
  const auto is_it = [&](const Key& kept) { return kept.public_key == key; };
  if (std::any_of(kept_.begin(), kept_.end(), is_it)) {
    return absl::OkStatus();
  }
  if (!last_.has_value() || !is_it(*last_)) {
    return Internal("the key to keep is not the last one");
  }
  std::vector<Key> keys = {*last_};
  if (!kept_.empty()) {
    keys.push_back(kept_.front());
  }
  return Save(keys);
}

absl::Status TpmKeys::Retain(const crypto::PublicKey* key) {
  std::vector<Key> keys;
  for (const Key& kept : kept_) {
    if (key != nullptr && kept.public_key == *key) {
      keys.push_back(kept);
    }
  }
  return keys.size() == kept_.size() ? absl::OkStatus() : Save(keys);
}

absl::Status TpmKeys::Save(const std::vector<Key>& keys) {
  std::vector<tpm::KeyBlobs> blobs;
  for (const Key& key : keys) {
    blobs.push_back(key.blobs);
  }
  RETURN_IF_ERROR(MakeFolders(FolderOf(options_.path), kFolderMode));
  RETURN_IF_ERROR(tpm::SaveKeyFile(options_.path, blobs));
  kept_ = keys;
  return absl::OkStatus();
}

}  // namespace

std::unique_ptr<AgentKeys> MakeTpmKeys(TpmKeysOptions options) {
  return std::make_unique<TpmKeys>(std::move(options));
}

}  // namespace assay
