// SPDX-License-Identifier: GPL-3.0-or-later
// The JWT answers of the Workload API (workload.proto).
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/status.h"
#include "spiffe/jwt_svid.h"

class ValidateJWTSVIDResponse;

namespace assay {

// By trust domain name: the JWK set of its JWT authorities.
using JwtBundles = std::map<std::string_view, std::string_view>;

// JWTBundlesResponse as bytes, equal for equal content.
std::string JwtBundlesAnswer(const JwtBundles& bundles);

// Which claims of a token are told: all, or the three of each JWT-SVID and these.
struct ShownClaims {
  bool all = true;
  const std::set<std::string, std::less<>>& others;
};
// What ValidateJWTSVID says of a token that is valid. InvalidArgument when its claims are nested
// deeper than clients' parsers go.
absl::Status FillValidated(const JwtSvid& svid, const ShownClaims& shown,
                           ValidateJWTSVIDResponse& response);

}  // namespace assay
