// SPDX-License-Identifier: GPL-3.0-or-later
// JSON documents on disk that may hold keys: their texts are wiped from memory, their files are of
// mode 0600 and replaced whole. For .cc files only.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace assay {

// Wipes its texts when it dies.
class SecretJson final {
 public:
  explicit SecretJson(nlohmann::json document) : document_(std::move(document)) {}
  SecretJson(SecretJson&& other) noexcept : document_(std::exchange(other.document_, nullptr)) {}
  SecretJson& operator=(SecretJson&&) = delete;
  ~SecretJson();

  nlohmann::json& operator*() { return document_; }
  nlohmann::json* operator->() { return &document_; }

 private:
  nlohmann::json document_;
};

// The object in a file. NotFound when there is no file, DataLoss when it is damaged.
absl::StatusOr<SecretJson> LoadSecretJson(const std::string& path);
absl::Status SaveSecretJson(const std::string& path, const nlohmann::json& document);

// Gives a damaged file another name (with the ending ".damaged"; the newest one alone is kept), and
// says why in the log, so that the node begins anew. A file that cannot be moved is replaced with
// the next one that is saved. One of which something is kept stays, until that is saved, under its
// own name, too.
enum class Original { kMoves, kStays };
void SetAside(const std::string& path, const absl::Status& why,
              Original original = Original::kMoves);

// The text of a member; empty when there is none.
std::string_view StringAt(const nlohmann::json& object, std::string_view name);

}  // namespace assay
