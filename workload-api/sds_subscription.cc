// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/sds_subscription.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "envoy/config/core/v3/base.pb.h"
#include "workload-api/sds_resources.h"

namespace assay {
namespace {

using google::protobuf::Value;

constexpr const char* kDisableValidator = "disable_spiffe_cert_validation";
// Beside the text itself: of the name, and of what was told of it.
constexpr size_t kBytesPerName = 256;
constexpr uint32_t kFirstMinorWithValidator = 18;

// As Go's ParseBool reads it, which such metadata is written for.
std::optional<bool> BoolOf(const Value& value) {
  constexpr std::array<std::string_view, 6> kTrue = {"1", "t", "T", "TRUE", "true", "True"};
  constexpr std::array<std::string_view, 6> kFalse = {"0", "f", "F", "FALSE", "false", "False"};
  if (value.kind_case() == Value::kBoolValue) {
    return value.bool_value();
  }
  if (std::ranges::find(kTrue, value.string_value()) != kTrue.end()) {
    return true;
  }
  if (std::ranges::find(kFalse, value.string_value()) != kFalse.end()) {
    return false;
  }
  return std::nullopt;
}

bool HasValidator(const envoy::config::core::v3::Node& node) {
  if (!node.has_user_agent_build_version()) {
    return true;
  }
  const envoy::type::v3::SemanticVersion& version = node.user_agent_build_version().version();
  return version.major_number() > 1 ||
         (version.major_number() == 1 && version.minor_number() >= kFirstMinorWithValidator);
}

absl::Status CheckSizes(const std::set<std::string, std::less<>>& names) {
  size_t bytes = 0;
  for (const std::string& name : names) {
    bytes += name.size();
  }
  if (names.size() > SdsSubscription::kMaxNames || bytes > SdsSubscription::kMaxNameBytes) {
    return InvalidArgument(
        "{} resource names of {} bytes in all are asked for; a stream may have {} of {} bytes",
        names.size(), bytes, SdsSubscription::kMaxNames, SdsSubscription::kMaxNameBytes);
  }
  return absl::OkStatus();
}

}  // namespace

SdsValidation ValidationFor(const envoy::config::core::v3::Node& node, bool disabled) {
  const auto& fields = node.metadata().fields();
  if (const auto found = fields.find(kDisableValidator); found != fields.end()) {
    disabled = BoolOf(found->second).value_or(disabled);
  }
  return !disabled && HasValidator(node) ? SdsValidation::kSpiffe : SdsValidation::kPlain;
}

absl::Status SdsSubscription::CheckType(std::string_view type_url) {
  if (!type_url.empty() && type_url != kSdsTypeUrl) {
    return InvalidArgument("resources of type {} are asked for; there are only {}",
                           Quoted(type_url), kSdsTypeUrl);
  }
  return absl::OkStatus();
}

size_t SdsSubscription::kept_bytes() const {
  size_t bytes = 0;
  for (const std::string& name : names_) {
    bytes += name.size() + kBytesPerName;
  }
  return bytes;
}

absl::Status SdsSubscription::Replace(const Names& names) {
  std::set<std::string, std::less<>> wanted(names.begin(), names.end());
  wanted.erase("");
  RETURN_IF_ERROR(CheckSizes(wanted));
  begun_ = begun_ || !wanted.empty();
  everything_ = wanted.erase(std::string(kEverything)) > 0 || !begun_;
  names_ = std::move(wanted);
  return absl::OkStatus();
}

absl::Status SdsSubscription::Change(const Names& subscribe, const Names& unsubscribe) {
  std::set<std::string, std::less<>> wanted = names_;
  bool everything = everything_ || (!begun_ && subscribe.empty());
  wanted.insert(subscribe.begin(), subscribe.end());
  wanted.erase("");
  everything = wanted.erase(std::string(kEverything)) > 0 || everything;
  for (const std::string& name : unsubscribe) {
    wanted.erase(name);
    everything = everything && name != kEverything;
  }
  RETURN_IF_ERROR(CheckSizes(wanted));
  begun_ = true;
  everything_ = everything;
  names_ = std::move(wanted);
  return absl::OkStatus();
}

}  // namespace assay
