// SPDX-License-Identifier: GPL-3.0-or-later
// What the operator says of SDS: the names of resources that have no SPIFFE ID for a name, and how
// proxies verify their peers.
#pragma once

#include <string>

namespace assay {

struct SdsOptions {
  // An empty name is nobody's.
  std::string default_svid_name = "default";
  std::string default_bundle_name = "ROOTCA";
  std::string default_all_bundles_name = "ALL";
  // Unless a proxy's node says otherwise.
  bool disable_spiffe_cert_validation = false;
};

}  // namespace assay
