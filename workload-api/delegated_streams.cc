// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/delegated_streams.h"

#include <utility>

#include "spire/api/agent/delegatedidentity/v1/delegatedidentity.pb.h"
#include "workload-api/audit.h"
#include "workload-api/delegated_request.h"

namespace assay {

using spire::api::agent::delegatedidentity::v1::SubscribeToX509SVIDsRequest;

absl::Status DelegatedSvidStream::Take(std::string_view bytes) {
  SubscribeToX509SVIDsRequest request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Internal("grpc: error unmarshalling request");
  }
  auto subject = DelegatedSubject::Of(*request.mutable_selectors(), request.pid());
  // The gate has one copy, and the identities that they match have another.
  if (subject.ok() && !asked_.Keep(2 * subject->bytes)) {
    return ResourceExhausted("no memory for a large request at this time");
  }
  gate_.AskFor(std::move(subject));
  return absl::OkStatus();
}

StateStream::Answer DelegatedSvidStream::Look(IdentitySet& identities) {
  refusal_ = gate_.Check();
  if (!refusal_.ok()) {
    return {.refused = true};
  }
  if (identities.empty()) {
    on_refused_();  // An entry may await it upstream.
  }
  identities.Want();
  return {.frame = identities.x509_svids(),
          .partial = !identities.complete() && !identities.overdue(),
          .empty = identities.awaits_first(),
          .withdrawals = identities.withdrawals()};
}

absl::Status DelegatedSvidStream::Declare(IdentitySet& identities) {
  return DeclareX509Svids(context(), call(), name(), identities);
}

StateStream::Answer DelegatedBundleStream::Look(IdentitySet& /*identities*/) {
  refusal_ = parts_.gate.Check();
  return {.refused = !refusal_.ok(), .frame = (parts_.bundles.*parts_.method.answer)()};
}

}  // namespace assay
