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

absl::Status CheckSizes(size_t names, size_t bytes) {
  if (names > SdsSubscription::kMaxNames || bytes > SdsSubscription::kMaxNameBytes) {
    return InvalidArgument(
        "{} resource names of {} bytes are asked for; a stream may have {} of {} bytes in all",
        names, bytes, SdsSubscription::kMaxNames, SdsSubscription::kMaxNameBytes);
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

size_t SdsSubscription::KeptBytes(size_t names, size_t bytes_of_names) {
  // Once in the subscription, once in what was told.
  return names * kBytesPerName + 2 * bytes_of_names;
}

absl::Status SdsSubscription::Insert(const std::string& name) {
  if (!name.empty() && names_.insert(name).second) {
    name_bytes_ += name.size();
  }
  return CheckSizes(names_.size(), name_bytes_);
}

absl::StatusOr<bool> SdsSubscription::Replace(const Names& names) {
  RETURN_IF_ERROR(CheckSizes(static_cast<size_t>(names.size()), 0));
  SdsSubscription before = std::exchange(*this, SdsSubscription());
  for (const std::string& name : names) {
    if (name == kEverything) {
      everything_ = begun_ = true;
    } else {
      RETURN_IF_ERROR(Insert(name));
    }
  }
  begun_ = begun_ || before.begun_ || !names_.empty();
  everything_ = everything_ || !begun_;
  const bool changed = everything_ != before.everything_ || names_ != before.names_;
  if (!changed) {
    // Who refers to the names goes on doing so.
    names_ = std::move(before.names_);
  }
  return changed;
}

absl::StatusOr<bool> SdsSubscription::Change(const Names& subscribe, const Names& unsubscribe) {
  RETURN_IF_ERROR(CheckSizes(static_cast<size_t>(subscribe.size()), 0));
  bool changed = !subscribe.empty();
  if (!std::exchange(begun_, true) && subscribe.empty()) {
    everything_ = changed = true;
  }
  for (const std::string& name : unsubscribe) {
    if (name == kEverything) {
      changed = std::exchange(everything_, false) || changed;
    } else if (names_.erase(name) > 0) {
      name_bytes_ -= name.size();
      changed = true;
    }
  }
  for (const std::string& name : subscribe) {
    if (name == kEverything) {
      everything_ = true;
    } else {
      RETURN_IF_ERROR(Insert(name));
    }
  }
  return changed;
}

}  // namespace assay
