// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/secret_json.h"

#include <cstdio>

#include "base/files.h"
#include "base/log.h"
#include "base/secret.h"

namespace assay {
namespace {

using nlohmann::json;

constexpr mode_t kFileMode = 0600;
constexpr std::string_view kDamagedEnding = ".damaged";

void WipeTexts(json& value) {
  if (value.is_string()) {
    std::string& text = value.get_ref<std::string&>();
    Wipe(text.data(), text.size());
  } else if (value.is_structured()) {
    for (json& item : value) {
      WipeTexts(item);
    }
  }
}

}  // namespace

SecretJson::~SecretJson() { WipeTexts(document_); }

absl::StatusOr<SecretJson> LoadSecretJson(const std::string& path) {
  const absl::StatusOr<Secret> text = ReadSecretFile(path);
  if (absl::IsInvalidArgument(text.status())) {
    return DataLoss("{}", Message(text.status()));
  }
  RETURN_IF_ERROR(text.status());
  SecretJson document(json::parse(text->Reveal(), nullptr, /*allow_exceptions=*/false));
  if (!document->is_object()) {
    return DataLoss("{} is not a JSON object", path);
  }
  return document;
}

absl::Status SaveSecretJson(const std::string& path, const json& document) {
  std::string text = document.dump(1, '\t', false, json::error_handler_t::replace);
  const absl::Status saved = WriteFileAtomically(path, text, kFileMode);
  Wipe(text.data(), text.size());
  return saved;
}

void SetAside(const std::string& path, const absl::Status& why, Original original) {
  const std::string aside = path + std::string(kDamagedEnding);
  bool moved = false;
  if (original == Original::kStays) {
    unlink(aside.c_str());
    moved = link(path.c_str(), aside.c_str()) == 0;
  } else {
    moved = rename(path.c_str(), aside.c_str()) == 0;
  }
  log::Error(moved ? "Damaged file was set aside" : "Damaged file is ignored",
             {{"error", why},
              {"file", path},
              {moved ? "moved_to" : "", aside},
              {"subsystem_name", "attestor"}});
}

std::string_view StringAt(const json& object, std::string_view name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? std::string_view(at->get_ref<const std::string&>())
                                               : std::string_view();
}

}  // namespace assay
