// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/entry_convert.h"

#include "authority/id_convert.h"
#include "spire/api/types/entry.pb.h"

namespace assay {

namespace types = spire::api::types;

namespace {

types::EntryMask MakeAllOfEntry() {
  types::EntryMask mask;
  const google::protobuf::Descriptor& fields = *mask.GetDescriptor();
  for (int i = 0; i < fields.field_count(); ++i) {
    mask.GetReflection()->SetBool(&mask, fields.field(i), true);
  }
  return mask;
}

absl::Status SetNames(const TrustDomain& trust_domain, const types::Entry& sent,
                      const types::EntryMask& mask, RegistrationEntry& entry) {
  if (mask.parent_id()) {
    absl::StatusOr<SpiffeId> parent = ParseMemberId(trust_domain, sent.parent_id());
    RETURN_IF_ERROR(WithContext(parent.status(), "invalid parent ID"));
    entry.parent_id = *std::move(parent);
  }
  if (mask.spiffe_id()) {
    absl::StatusOr<SpiffeId> id = ParseWorkloadId(trust_domain, sent.spiffe_id());
    RETURN_IF_ERROR(WithContext(id.status(), "invalid spiffe ID"));
    entry.spiffe_id = *std::move(id);
  }
  if (mask.dns_names()) {
    for (const std::string& name : sent.dns_names()) {
      RETURN_IF_ERROR(WithContext(ValidateDnsName(name), "invalid DNS name"));
    }
    entry.dns_names.assign(sent.dns_names().begin(), sent.dns_names().end());
  }
  if (mask.federates_with()) {
    entry.federates_with.clear();
    for (const std::string& name : sent.federates_with()) {
      absl::StatusOr<TrustDomain> other = ParseTrustDomain(name);
      RETURN_IF_ERROR(WithContext(other.status(), "invalid federated trust domain"));
      entry.federates_with.push_back(*std::move(other));
    }
  }
  return absl::OkStatus();
}

absl::Status SetSelectors(const types::Entry& sent, RegistrationEntry& entry) {
  if (sent.selectors().empty()) {
    return InvalidArgument("selector list is empty");
  }
  ASSIGN_OR_RETURN(entry.selectors, ParseSelectors(sent.selectors()));
  return absl::OkStatus();
}

void SetPlainFields(const types::Entry& sent, const types::EntryMask& mask,
                    RegistrationEntry& entry) {
  if (mask.x509_svid_ttl()) {
    entry.x509_svid_ttl = sent.x509_svid_ttl();
  }
  if (mask.jwt_svid_ttl()) {
    entry.jwt_svid_ttl = sent.jwt_svid_ttl();
  }
  if (mask.admin()) {
    entry.admin = sent.admin();
  }
  if (mask.downstream()) {
    entry.downstream = sent.downstream();
  }
  if (mask.expires_at()) {
    entry.expires_at = sent.expires_at();
  }
  if (mask.store_svid()) {
    entry.store_svid = sent.store_svid();
  }
  if (mask.hint()) {
    entry.hint = sent.hint();
  }
  if (mask.additional_attributes()) {
    const auto& more = sent.additional_attributes();
    entry.disable_x509_svid_prefetch = more.disable_x509_svid_prefetch();
    entry.jwt_svid_include_jti = more.jwt_svid_include_jti();
  }
}

absl::Status SetFields(const TrustDomain& trust_domain, const types::Entry& sent,
                       const types::EntryMask& mask, RegistrationEntry& entry) {
  RETURN_IF_ERROR(SetNames(trust_domain, sent, mask, entry));
  if (mask.selectors()) {
    RETURN_IF_ERROR(SetSelectors(sent, entry));
  }
  if (mask.hint() && sent.hint().size() > RegistrationEntry::kMaxHintBytes) {
    return InvalidArgument("hint is too long, max length is {} characters",
                           RegistrationEntry::kMaxHintBytes);
  }
  SetPlainFields(sent, mask, entry);
  return absl::OkStatus();
}

void SetProtoNames(const RegistrationEntry& entry, const types::EntryMask& mask,
                   types::Entry* out) {
  if (mask.spiffe_id()) {
    ToProto(entry.spiffe_id, out->mutable_spiffe_id());
  }
  if (mask.parent_id() && entry.parent_id.has_value()) {
    ToProto(*entry.parent_id, out->mutable_parent_id());
  }
  if (mask.selectors()) {
    ToProto(entry.selectors, out->mutable_selectors());
  }
  if (mask.federates_with()) {
    for (const TrustDomain& other : entry.federates_with) {
      out->add_federates_with(other.name());
    }
  }
  if (mask.dns_names()) {
    for (const std::string& name : entry.dns_names) {
      out->add_dns_names(name);
    }
  }
}

}  // namespace

const types::EntryMask& AllOfEntry() {
  static const types::EntryMask mask = MakeAllOfEntry();
  return mask;
}

absl::StatusOr<RegistrationEntry> ParseEntry(const TrustDomain& trust_domain,
                                             const types::Entry& sent) {
  // A placeholder until the sent names are in: they are part of every new entry.
  ASSIGN_OR_RETURN(SpiffeId placeholder, SpiffeId::Create(trust_domain, ""));
  RegistrationEntry entry{sent.id(), std::move(placeholder), {}, {}, {}, {}, {}};
  RETURN_IF_ERROR(SetFields(trust_domain, sent, AllOfEntry(), entry));
  return entry;
}

absl::StatusOr<RegistrationEntry> ApplyUpdate(const RegistrationEntry& entry,
                                              const types::Entry& sent,
                                              const types::EntryMask& mask) {
  RegistrationEntry updated = entry;
  RETURN_IF_ERROR(SetFields(entry.spiffe_id.trust_domain(), sent, mask, updated));
  return updated;
}

void ToProto(const RegistrationEntry& entry, const types::EntryMask& mask, types::Entry* out) {
  out->set_id(entry.id);
  SetProtoNames(entry, mask, out);
  out->set_x509_svid_ttl(mask.x509_svid_ttl() ? entry.x509_svid_ttl : 0);
  out->set_jwt_svid_ttl(mask.jwt_svid_ttl() ? entry.jwt_svid_ttl : 0);
  out->set_admin(mask.admin() && entry.admin);
  out->set_downstream(mask.downstream() && entry.downstream);
  out->set_expires_at(mask.expires_at() ? entry.expires_at : 0);
  out->set_revision_number(mask.revision_number() ? entry.revision_number : 0);
  out->set_store_svid(mask.store_svid() && entry.store_svid);
  out->set_created_at(mask.created_at() ? entry.created_at : 0);
  if (mask.hint()) {
    out->set_hint(entry.hint);
  }
  if (mask.additional_attributes() &&
      (entry.disable_x509_svid_prefetch || entry.jwt_svid_include_jti)) {
    auto* more = out->mutable_additional_attributes();
    more->set_disable_x509_svid_prefetch(entry.disable_x509_svid_prefetch);
    more->set_jwt_svid_include_jti(entry.jwt_svid_include_jti);
  }
}

std::string EncodeEntry(const RegistrationEntry& entry) {
  types::Entry message;
  ToProto(entry, AllOfEntry(), &message);
  return message.SerializeAsString();
}

absl::StatusOr<RegistrationEntry> DecodeEntry(std::string_view bytes) {
  types::Entry message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return DataLoss("a stored registration entry is damaged");
  }
  absl::StatusOr<TrustDomain> trust_domain = TrustDomain::Parse(message.spiffe_id().trust_domain());
  if (!trust_domain.ok()) {
    return DataLoss("stored registration entry {}: {}", Quoted(message.id()),
                    Message(trust_domain.status()));
  }
  absl::StatusOr<RegistrationEntry> entry = ParseEntry(*trust_domain, message);
  if (!entry.ok()) {
    return DataLoss("stored registration entry {}: {}", Quoted(message.id()),
                    Message(entry.status()));
  }
  entry->revision_number = message.revision_number();
  entry->created_at = message.created_at();
  return entry;
}

}  // namespace assay
