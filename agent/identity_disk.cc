// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_disk.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "agent/secret_json.h"
#include "base/files.h"
#include "base/log.h"
#include "crypto/pem.h"

namespace assay {
namespace {

using nlohmann::json;

constexpr std::string_view kSubsystem = "attestor";
constexpr mode_t kFolderMode = 0750;
constexpr std::string_view kCertificateLabel = "CERTIFICATE";

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
    return DataLoss("{}: {}: {}", path, name, Message(parsed.status()));
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

// What the reference writes for no time.
constexpr std::string_view kNoTime = "0001-01-01T00:00:00Z";
constexpr int kUseBootstrap = 1;
constexpr int kUseRebootstrap = 2;
constexpr int kMostAttempts = 1'000'000'000;

// Of the reference's fields; what is not as it writes them counts as not there.
BootstrapProgress ProgressIn(const json& document) {
  const auto number = [&document](const char* name) {
    const auto at = document.find(name);
    const int64_t value =
        at != document.end() && at->is_number_integer() ? at->get<int64_t>() : int64_t{0};
    return static_cast<int>(std::clamp<int64_t>(value, 0, kMostAttempts));
  };
  BootstrapProgress progress{.had_bundle = number("bootstrap_use") == kUseRebootstrap,
                             .attempts = number("connection_attempts")};
  const std::string text(StringAt(document, "bootstrap_start_time"));
  absl::Time since;
  if (text != kNoTime && absl::ParseTime(absl::RFC3339_full, text, &since, nullptr) &&
      since > absl::UnixEpoch()) {
    progress.since = since;
  }
  return progress;
}

std::string TimeText(absl::Time time) {
  return time == absl::UnixEpoch() ? std::string(kNoTime)
                                   : absl::FormatTime(time, absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<AgentState> AgentDisk::Load() {
  AgentState state;
  const absl::Status loaded = LoadState(state);
  if (absl::IsPermissionDenied(loaded) && unreadable_ == Unreadable::kIsAnError) {
    return FailedPrecondition(
        "{}: another agent has written it: give the files of {} to this one's user (chown), or "
        "remove them and attest the node anew",
        Message(loaded), data_folder_);
  }
  if (!absl::IsDataLoss(loaded) && !absl::IsPermissionDenied(loaded)) {
    RETURN_IF_ERROR(loaded);
    return state;
  }
  if (state.bundle.empty() && lost_bundle_ == LostBundle::kIsAnError) {
    return FailedPrecondition(
        "{}: the trust bundle in it is lost, and with insecure_bootstrap whoever answers would be "
        "trusted: mend {}, configure a trust bundle, or remove the file to trust the upstream anew",
        Message(loaded), data_path());
  }
  AgentState kept;
  kept.bundle = std::move(state.bundle);
  if (kept.bundle.empty()) {
    SetAside(data_path(), loaded);
    return kept;
  }
  // The next start must find the bundle too, whatever happens till then.
  SetAside(data_path(), loaded, Original::kStays);
  RETURN_IF_ERROR(Write(kept));
  log::Warn("The trust bundle of the damaged file is kept", {{"subsystem_name", kSubsystem}});
  return kept;
}

absl::Status AgentDisk::LoadState(AgentState& state) {
  absl::StatusOr<SecretJson> loaded = LoadSecretJson(data_path());
  if (absl::IsNotFound(loaded.status())) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(loaded.status());
  SecretJson& document = *loaded;
  ASSIGN_OR_RETURN(state.bundle, CertificatesAt(*document, "bundle", data_path()));
  state.bootstrap = ProgressIn(*document);
  ASSIGN_OR_RETURN(std::vector<crypto::Certificate> chain,
                   CertificatesAt(*document, "svid", data_path()));
  if (chain.empty()) {
    return absl::OkStatus();
  }
  const auto told = document->find("reattestable");
  const bool reattestable = told != document->end() && told->is_boolean() && told->get<bool>();
  absl::StatusOr<std::shared_ptr<const crypto::Signer>> key =
      keys_->Load(chain.front().public_key());
  if (absl::IsNotFound(key.status()) || absl::IsAborted(key.status())) {
    log::Warn(reattestable ? "Key of the stored agent SVID is lost: the node is attested anew"
                           : "Key of the stored agent SVID is lost, and the node cannot re-attest "
                             "with what it had: evict it and give it a new join token",
              {{"error", key.status()}, {"subsystem_name", kSubsystem}});
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(key.status());
  state.svid = {.chain = std::move(chain), .key = *std::move(key), .reattestable = reattestable};
  return absl::OkStatus();
}

absl::Status AgentDisk::Save(const AgentState& state) {
  RETURN_IF_ERROR(MakeFolders(data_folder_, kFolderMode));
  if (state.svid.has_value()) {
    RETURN_IF_ERROR(keys_->Keep(state.svid->key->public_key()));
  }
  RETURN_IF_ERROR(Write(state));
  // The SVID on disk has no use for the key before its own; without an SVID there is none for both.
  return keys_->Retain(state.svid.has_value() ? &state.svid->key->public_key() : nullptr);
}

absl::Status AgentDisk::Write(const AgentState& state) const {
  const BootstrapProgress& progress = state.bootstrap;
  const json document = {{"svid", state.svid.has_value() ? ToJson(state.svid->chain) : json()},
                         {"bundle", ToJson(state.bundle)},
                         {"reattestable", state.svid.has_value() && state.svid->reattestable},
                         {"bootstrap_use", progress.had_bundle ? kUseRebootstrap : kUseBootstrap},
                         {"bootstrap_start_time", TimeText(progress.since)},
                         {"connection_attempts", progress.attempts}};
  return SaveSecretJson(data_path(), document);
}

}  // namespace assay
