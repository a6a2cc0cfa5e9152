// SPDX-License-Identifier: GPL-3.0-or-later
// The trust bundles that the authority hands out: its own, and those of the trust domains it
// federates with. Owned by the loop's thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "spiffe/trust_bundle.h"

namespace assay {

class BundleSet final {
 public:
  // Null when there is none.
  const TrustBundle* Find(const TrustDomain& trust_domain) const;
  void Put(TrustBundle bundle);
  void Erase(const TrustDomain& trust_domain);
  const std::map<TrustDomain, TrustBundle>& all() const { return bundles_; }

 private:
  std::map<TrustDomain, TrustBundle> bundles_;
};

}  // namespace assay
