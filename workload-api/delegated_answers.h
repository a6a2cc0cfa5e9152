// SPDX-License-Identifier: GPL-3.0-or-later
// The answers of the Delegated Identity API (delegatedidentity.proto) as bytes, equal for equal
// content. Those of SVIDs hold private keys or tokens: whoever gets them wipes them.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "workload-api/served_state.h"
#include "workload-api/x509_answers.h"

namespace spire::api::agent::delegatedidentity::v1 {
class FetchJWTSVIDsResponse;
}

namespace assay {

// SubscribeToX509SVIDsResponse. Items whose SPIFFE ID or chain does not parse are left out, which
// the identity role tells of none.
std::string DelegatedX509SvidsAnswer(const std::vector<X509SvidItem>& items,
                                     const std::set<std::string_view>& federates_with);

// SubscribeToX509BundlesResponse and SubscribeToJWTBundlesResponse, of all of them.
std::string DelegatedX509BundlesAnswer(const ServedState::Bundles& bundles);
std::string DelegatedJwtBundlesAnswer(const ServedState::Bundles& bundles);

struct DelegatedJwtItem {
  std::string_view spiffe_id;
  std::string_view token;
  std::string_view hint;
  int64_t expires_at = 0;  // Unix seconds.
};
// When it was issued the token says. Internal when it or the SPIFFE ID does not parse.
absl::Status AddDelegatedJwtSvid(
    const DelegatedJwtItem& item,
    spire::api::agent::delegatedidentity::v1::FetchJWTSVIDsResponse& response);

}  // namespace assay
