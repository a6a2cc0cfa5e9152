// SPDX-License-Identifier: GPL-3.0-or-later
#include "spiffe/registration_entry.h"

#include <algorithm>

namespace assay {
namespace {

constexpr size_t kMaxDnsNameBytes = 253;
constexpr size_t kMaxDnsLabelBytes = 63;
constexpr std::string_view kLettersDigitsHyphen =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
constexpr std::string_view kEntryIdAlphabet =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

absl::Status ValidateId(std::string_view id) {
  if (id.empty()) {
    return InvalidArgument("id: is empty");
  }
  if (id.size() > RegistrationEntry::kMaxIdBytes) {
    return InvalidArgument("id: has {} bytes, at most {} are allowed", id.size(),
                           RegistrationEntry::kMaxIdBytes);
  }
  if (id.find_first_not_of(kEntryIdAlphabet) != id.npos) {
    return InvalidArgument("id: {} has a byte that is none of a-z A-Z 0-9 - . _", Quoted(id));
  }
  return absl::OkStatus();
}

absl::Status ValidateNames(const RegistrationEntry& entry) {
  const SpiffeId& id = entry.spiffe_id;
  if (id.is_trust_domain()) {
    return InvalidArgument("spiffe_id: {} has no path", id.ToString());
  }
  if (id.path() == "/spire" || id.path().starts_with("/spire/")) {
    return InvalidArgument("spiffe_id: {} is under /spire, which is reserved", id.ToString());
  }
  if (entry.parent_id.has_value()) {
    if (entry.parent_id->is_trust_domain()) {
      return InvalidArgument("parent_id: {} has no path", entry.parent_id->ToString());
    }
    if (entry.parent_id->trust_domain() != id.trust_domain()) {
      return InvalidArgument("parent_id: {} is of another trust domain than {}",
                             entry.parent_id->ToString(), id.ToString());
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateSelectors(const RegistrationEntry& entry) {
  if (entry.selectors.empty()) {
    return InvalidArgument("selectors: none given, at least one is needed");
  }
  for (const Selector& selector : entry.selectors) {
    if (selector.type.empty() || selector.value.empty() ||
        selector.type.find(':') != std::string::npos) {
      return InvalidArgument("selectors: type {} and value {}: wanted a type without ':', a value",
                             Quoted(selector.type), Quoted(selector.value));
    }
  }
  if (!entry.store_svid) {
    return absl::OkStatus();
  }
  const std::string& type = entry.selectors.front().type;
  if (!std::all_of(entry.selectors.begin(), entry.selectors.end(),
                   [&](const Selector& selector) { return selector.type == type; })) {
    return InvalidArgument("store_svid: needs selectors of one type");
  }
  if (entry.disable_x509_svid_prefetch) {
    return InvalidArgument("store_svid: excludes disable_x509_svid_prefetch");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const RegistrationEntry& entry) {
  RETURN_IF_ERROR(ValidateId(entry.id));
  RETURN_IF_ERROR(ValidateNames(entry));
  RETURN_IF_ERROR(ValidateSelectors(entry));
  if (entry.hint.size() > RegistrationEntry::kMaxHintBytes) {
    return InvalidArgument("hint: has {} bytes, at most {} are allowed", entry.hint.size(),
                           RegistrationEntry::kMaxHintBytes);
  }
  for (const std::string& name : entry.dns_names) {
    if (absl::Status bad = ValidateDnsName(name); !bad.ok()) {
      return WithContext(bad, "dns_names");
    }
  }
  if (entry.x509_svid_ttl < 0) {
    return InvalidArgument("x509_svid_ttl: {} is negative", entry.x509_svid_ttl);
  }
  if (entry.jwt_svid_ttl < 0) {
    return InvalidArgument("jwt_svid_ttl: {} is negative", entry.jwt_svid_ttl);
  }
  if (entry.revision_number < 0) {
    return InvalidArgument("revision_number: {} is negative", entry.revision_number);
  }
  return absl::OkStatus();
}

absl::Status ValidateDnsName(std::string_view name) {
  std::string_view rest = name.starts_with("*.") ? name.substr(2) : name;
  if (rest.empty() || name.size() > kMaxDnsNameBytes) {
    return InvalidArgument("dns name {}: has {} bytes, wanted 1 to {}", Quoted(name), name.size(),
                           kMaxDnsNameBytes);
  }
  while (true) {
    const size_t dot = rest.find('.');
    const std::string_view label = rest.substr(0, dot);
    if (label.empty() || label.size() > kMaxDnsLabelBytes) {
      return InvalidArgument("dns name {}: a label has {} bytes, wanted 1 to {}", Quoted(name),
                             label.size(), kMaxDnsLabelBytes);
    }
    if (label.find_first_not_of(kLettersDigitsHyphen) != label.npos) {
      return InvalidArgument("dns name {}: a label has a byte that is none of a-z A-Z 0-9 -",
                             Quoted(name));
    }
    if (label.front() == '-' || label.back() == '-') {
      return InvalidArgument("dns name {}: a label starts or ends with a hyphen", Quoted(name));
    }
    if (dot == rest.npos) {
      return absl::OkStatus();
    }
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace assay
