// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/bundles.h"

#include <utility>

namespace assay {

const TrustBundle* BundleSet::Find(const TrustDomain& trust_domain) const {
  const auto found = bundles_.find(trust_domain);
  return found == bundles_.end() ? nullptr : &found->second;
}

void BundleSet::Put(TrustBundle bundle) {
  const TrustDomain key = bundle.trust_domain;
  bundles_.insert_or_assign(key, std::move(bundle));
}

void BundleSet::Erase(const TrustDomain& trust_domain) { bundles_.erase(trust_domain); }

}  // namespace assay
