// SPDX-License-Identifier: GPL-3.0-or-later
// The X.509 answers of the Workload API as bytes (workload.proto), equal for equal content. The
// bytes of an SVID answer hold private keys: whoever gets them wipes them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

struct X509SvidItem {
  std::string_view spiffe_id;
  std::string_view chain;
  std::string_view key;
  std::string_view bundle;
  std::string_view hint;
  int64_t expires_at = 0;  // Unix seconds.
};

// By trust domain name: the concatenated DER of its authorities.
using X509Bundles = std::map<std::string_view, std::string_view>;

// X509SVIDResponse; federated has all but the own trust domain.
std::string X509SvidAnswer(const std::vector<X509SvidItem>& svids, const X509Bundles& federated);
// X509BundlesResponse; bundles has the own trust domain too.
std::string X509BundlesAnswer(const X509Bundles& bundles);

}  // namespace assay
