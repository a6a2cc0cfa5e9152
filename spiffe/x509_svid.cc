// SPDX-License-Identifier: GPL-3.0-or-later
#include "spiffe/x509_svid.h"

#include <algorithm>
#include <string>

#include "crypto/issue.h"
#include "crypto/path_validation.h"

namespace assay {
namespace {

using crypto::Certificate;

bool HasPurpose(const Certificate& leaf, std::string_view purpose) {
  const std::vector<std::string>& purposes = leaf.extended_key_usage();
  return std::find(purposes.begin(), purposes.end(), purpose) != purposes.end();
}

absl::Status CheckLeafKeyUsage(const Certificate& leaf) {
  if (leaf.is_ca()) {
    return PermissionDenied("leaf certificate is a ca");
  }
  if (!leaf.key_usage().has_value()) {
    return absl::OkStatus();
  }
  const unsigned usage = *leaf.key_usage();
  if ((usage & (crypto::kKeyCertSign | crypto::kCrlSign)) != 0) {
    return PermissionDenied("leaf certificate may sign certificates or revocation lists");
  }
  if ((usage & crypto::kDigitalSignature) == 0) {
    return PermissionDenied("leaf certificate lacks the digitalSignature key usage");
  }
  return absl::OkStatus();
}

// A signing certificate may go without a SPIFFE ID; one that has a path is somebody's identity, and
// signs nothing (X509-SVID §3.2).
absl::Status CheckSigningIds(const std::vector<Certificate>& signers) {
  for (const Certificate& signer : signers) {
    for (const std::string& uri : signer.uris()) {
      if (const auto id = SpiffeId::Parse(uri); id.ok() && !id->is_trust_domain()) {
        return PermissionDenied("a signing certificate has the spiffe id {}, which has a path",
                                id->ToString());
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SpiffeId> ParseLeafId(const Certificate& leaf) {
  if (leaf.uris().size() != 1) {
    return PermissionDenied("leaf certificate has {} uri names, wanted exactly one",
                            leaf.uris().size());
  }
  auto id = SpiffeId::Parse(leaf.uris().front());
  if (!id.ok()) {
    return PermissionDenied("leaf certificate: {}", Message(id.status()));
  }
  if (id->is_trust_domain()) {
    return PermissionDenied("leaf certificate: spiffe id {} has no path", id->ToString());
  }
  RETURN_IF_ERROR(CheckLeafKeyUsage(leaf));
  return id;
}

absl::StatusOr<SpiffeId> VerifyX509Svid(const std::vector<Certificate>& chain,
                                        const TrustBundle& bundle, absl::Time now) {
  if (chain.empty()) {
    return PermissionDenied("no certificate was presented");
  }
  ASSIGN_OR_RETURN(SpiffeId id, ParseLeafId(chain.front()));
  if (id.trust_domain() != bundle.trust_domain) {
    return PermissionDenied("spiffe id {} is not of trust domain {}", id.ToString(),
                            bundle.trust_domain.name());
  }
  const std::vector<Certificate> intermediates(chain.begin() + 1, chain.end());
  RETURN_IF_ERROR(CheckSigningIds(intermediates));
  const crypto::PathOptions options{.now = now, .tolerated_critical = {}};
  RETURN_IF_ERROR(VerifyPath(chain.front(), intermediates, bundle.Roots(), options));
  return id;
}

absl::Status CheckIssuedSvid(const std::vector<Certificate>& chain, const SpiffeId& id,
                             const crypto::PublicKey& key) {
  if (chain.empty()) {
    return PermissionDenied("svid has no certificate");
  }
  const Certificate& leaf = chain.front();
  ASSIGN_OR_RETURN(const SpiffeId leaf_id, ParseLeafId(leaf));
  if (leaf_id != id) {
    return PermissionDenied("svid is of {}, wanted {}", leaf_id.ToString(), id.ToString());
  }
  if (leaf.public_key() != key) {
    return PermissionDenied("svid of {} is for another key than the one sent", id.ToString());
  }
  if (!leaf.key_usage().has_value() || !leaf.key_usage_critical()) {
    return PermissionDenied("svid of {} has no critical key usage", id.ToString());
  }
  if (!leaf.extended_key_usage().empty() &&
      !(HasPurpose(leaf, crypto::kServerAuth) && HasPurpose(leaf, crypto::kClientAuth))) {
    return PermissionDenied("svid of {} is not for both server and client authentication",
                            id.ToString());
  }
  return absl::OkStatus();
}

}  // namespace assay
