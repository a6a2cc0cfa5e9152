// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/secret_json.h"

#include "base/files.h"
#include "base/secret.h"

namespace assay {
namespace {

using nlohmann::json;

constexpr mode_t kFileMode = 0600;

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
  ASSIGN_OR_RETURN(const Secret text, ReadSecretFile(path));
  SecretJson document(json::parse(text.Reveal(), nullptr, /*allow_exceptions=*/false));
  if (!document->is_object()) {
    return DataLoss("{} is not a JSON object; move it away to begin anew", path);
  }
  return document;
}

absl::Status SaveSecretJson(const std::string& path, const json& document) {
  std::string text = document.dump(1, '\t', false, json::error_handler_t::replace);
  const absl::Status saved = WriteFileAtomically(path, text, kFileMode);
  Wipe(text.data(), text.size());
  return saved;
}

std::string_view StringAt(const json& object, std::string_view name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? std::string_view(at->get_ref<const std::string&>())
                                               : std::string_view();
}

}  // namespace assay
