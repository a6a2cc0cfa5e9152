// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/id_convert.h"

#include "spire/api/types/selector.pb.h"
#include "spire/api/types/spiffe_id.pb.h"
#include "spire/api/types/status.pb.h"

namespace assay {

namespace types = spire::api::types;

absl::Status ApiError(absl::StatusCode code, std::string_view what, const absl::Status& why) {
  return MakeStatus(code, fmt::format("{}: {}", what, Message(why)));
}

void ToProto(const absl::Status& status, types::Status* out) {
  out->set_code(static_cast<int>(status.code()));
  out->set_message(status.ok() ? "OK" : std::string(Message(status)));
}

absl::StatusOr<SpiffeId> ParseId(const types::SPIFFEID& id) {
  if (id.trust_domain().empty() && id.path().empty()) {
    return InvalidArgument("request must specify SPIFFE ID");
  }
  ASSIGN_OR_RETURN(const TrustDomain trust_domain, TrustDomain::Parse(id.trust_domain()));
  return SpiffeId::Create(trust_domain, id.path());
}

absl::StatusOr<SpiffeId> ParseMemberId(const TrustDomain& trust_domain,
                                       const types::SPIFFEID& sent) {
  ASSIGN_OR_RETURN(SpiffeId id, ParseId(sent));
  if (id.trust_domain() != trust_domain) {
    return InvalidArgument("\"{}\" is not a member of trust domain \"{}\"", id.ToString(),
                           trust_domain.name());
  }
  if (id.is_trust_domain()) {
    return InvalidArgument("\"{}\" is not a member of trust domain \"{}\"; path is empty",
                           id.ToString(), trust_domain.name());
  }
  return id;
}

absl::StatusOr<SpiffeId> ParseAgentId(const TrustDomain& trust_domain,
                                      const types::SPIFFEID& sent) {
  ASSIGN_OR_RETURN(SpiffeId id, ParseMemberId(trust_domain, sent));
  if (!id.is_agent()) {
    return InvalidArgument(
        "\"{}\" is not an agent in trust domain \"{}\"; path is not in the agent namespace",
        id.ToString(), trust_domain.name());
  }
  return id;
}

absl::StatusOr<SpiffeId> ParseWorkloadId(const TrustDomain& trust_domain,
                                         const types::SPIFFEID& sent) {
  ASSIGN_OR_RETURN(SpiffeId id, ParseId(sent));
  RETURN_IF_ERROR(CheckWorkloadId(trust_domain, id));
  return id;
}

absl::Status CheckWorkloadId(const TrustDomain& trust_domain, const SpiffeId& id) {
  if (id.trust_domain() != trust_domain) {
    return InvalidArgument("\"{}\" is not a member of trust domain \"{}\"", id.ToString(),
                           trust_domain.name());
  }
  if (id.is_trust_domain()) {
    return InvalidArgument("\"{}\" is not a workload in trust domain \"{}\"; path is empty",
                           id.ToString(), trust_domain.name());
  }
  if (id.path() == "/spire" || id.path().starts_with("/spire/")) {
    return InvalidArgument(
        "\"{}\" is not a workload in trust domain \"{}\"; path is in the reserved namespace",
        id.ToString(), trust_domain.name());
  }
  return absl::OkStatus();
}

absl::StatusOr<TrustDomain> ParseTrustDomain(std::string_view text) {
  constexpr std::string_view kScheme = "spiffe://";
  text.remove_prefix(text.starts_with(kScheme) ? kScheme.size() : 0);
  return TrustDomain::Parse(text);
}

void ToProto(const SpiffeId& id, types::SPIFFEID* out) {
  out->set_trust_domain(id.trust_domain().name());
  out->set_path(id.path());
}

absl::StatusOr<std::vector<Selector>> ParseSelectors(const ProtoSelectors& selectors) {
  std::vector<Selector> parsed;
  parsed.reserve(static_cast<size_t>(selectors.size()));
  for (const types::Selector& selector : selectors) {
    if (selector.type().empty()) {
      return InvalidArgument("missing selector type");
    }
    if (selector.type().find(':') != std::string::npos) {
      return InvalidArgument("selector type contains ':'");
    }
    if (selector.value().empty()) {
      return InvalidArgument("missing selector value");
    }
    parsed.push_back(Selector{selector.type(), selector.value()});
  }
  return Normalized(std::move(parsed));
}

void ToProto(const std::vector<Selector>& selectors, ProtoSelectors* out) {
  out->Reserve(static_cast<int>(selectors.size()));
  for (const Selector& selector : selectors) {
    types::Selector* added = out->Add();
    added->set_type(selector.type);
    added->set_value(selector.value);
  }
}

}  // namespace assay
