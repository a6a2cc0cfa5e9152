// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/delegated_jwt_svids.h"

#include <iterator>
#include <utility>

#include "base/secret.h"
#include "spire/api/agent/delegatedidentity/v1/delegatedidentity.pb.h"
#include "workload-api/delegated_answers.h"

namespace assay {

using spire::api::agent::delegatedidentity::v1::FetchJWTSVIDsRequest;
using spire::api::agent::delegatedidentity::v1::FetchJWTSVIDsResponse;

bool DelegatedJwtSvids::Parse(std::string_view bytes) {
  FetchJWTSVIDsRequest request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return false;
  }
  SetAudience({std::make_move_iterator(request.mutable_audience()->begin()),
               std::make_move_iterator(request.mutable_audience()->end())});
  auto subject = DelegatedSubject::Of(*request.mutable_selectors(), request.pid());
  selector_bytes_ = subject.ok() ? subject->bytes : 0;
  gate_.AskFor(std::move(subject));
  return true;
}

void DelegatedJwtSvids::Look(IdentitySet& identities) {
  // Not only before the answer: nothing is asked of the upstream for who is no delegate any more.
  if (const absl::Status delegate = gate_.Check(); !delegate.ok()) {
    Fail(delegate);
    return;
  }
  JwtSvidCall::Look(identities);
}

void DelegatedJwtSvids::Answer(const std::vector<Granted>& granted) {
  FetchJWTSVIDsResponse response;
  absl::Status added;
  for (const Granted& one : granted) {
    added.Update(AddDelegatedJwtSvid({.spiffe_id = one.entry.spiffe_id,
                                      .token = one.token->text.Reveal(),
                                      .hint = one.entry.hint,
                                      .expires_at = one.token->expires_at},
                                     response));
    LogFetched(one);
  }
  if (added.ok()) {
    Reply(response);
  } else {
    Fail(added);
  }
  for (auto& svid : *response.mutable_svids()) {
    Wipe(svid.mutable_token()->data(), svid.token().size());
  }
}

}  // namespace assay
