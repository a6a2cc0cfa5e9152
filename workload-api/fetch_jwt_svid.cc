// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/fetch_jwt_svid.h"

#include <iterator>
#include <utility>

#include "spiffe/spiffe_id.h"
#include "spiffe/workload.pb.h"

namespace assay {

// Fields that are not known are dropped with the message.
bool FetchJwtSvid::Parse(std::string_view bytes) {
  JWTSVIDRequest request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return false;
  }
  spiffe_id_ = std::move(*request.mutable_spiffe_id());
  SetAudience({std::make_move_iterator(request.mutable_audience()->begin()),
               std::make_move_iterator(request.mutable_audience()->end())});
  return true;
}

absl::Status FetchJwtSvid::Check() {
  RETURN_IF_ERROR(JwtSvidCall::Check());
  if (spiffe_id_.empty()) {
    return absl::OkStatus();
  }
  const absl::Status id =
      WithContext(SpiffeId::Parse(spiffe_id_).status(), "invalid requested SPIFFE ID");
  return id.ok() ? id : Refused("Invalid requested SPIFFE ID", id);
}

void FetchJwtSvid::Answer(const std::vector<Granted>& granted) {
  JWTSVIDResponse response;
  for (const Granted& one : granted) {
    JWTSVID& svid = *response.add_svids();
    svid.set_spiffe_id(std::string(one.entry.spiffe_id));
    svid.set_svid(std::string(one.token->text.Reveal()));
    svid.set_hint(std::string(one.entry.hint));
    LogFetched(one);
  }
  Reply(response);
  for (JWTSVID& svid : *response.mutable_svids()) {
    Wipe(svid.mutable_svid()->data(), svid.svid().size());
  }
}

}  // namespace assay
