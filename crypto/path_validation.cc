// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/path_validation.h"

#include <algorithm>
#include <iterator>

#include "crypto/uri_constraints.h"

namespace assay::crypto {
namespace {

constexpr size_t kMaxIntermediates = 8;
// Signature checks from the anchors down, and as many from the leaf up: certificates that all bear
// one name would otherwise cost their factorial.
constexpr int kMaxSignatureChecks = 100;
constexpr std::string_view kUnknownAuthority = "x509: certificate signed by unknown authority";

std::string NameOf(const Certificate& certificate) {
  return Quoted(certificate.uris().empty() ? certificate.SubjectText() : certificate.uris()[0]);
}

absl::Status CheckTime(const Certificate& certificate, absl::Time now) {
  const auto text = [](absl::Time time) {
    return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
  };
  const bool early = now < certificate.not_before();
  if (!early && now <= certificate.not_after()) {
    return absl::OkStatus();
  }
  return PermissionDenied(
      "x509: certificate has expired or is not yet valid: {}: current time {} is {} {}",
      NameOf(certificate), text(now), early ? "before" : "after",
      text(early ? certificate.not_before() : certificate.not_after()));
}

absl::Status CheckCritical(const Certificate& certificate, const std::vector<std::string>& known) {
  for (const std::string& oid : certificate.unknown_critical()) {
    if (std::find(known.begin(), known.end(), oid) == known.end()) {
      return PermissionDenied("x509: unhandled critical extension {} in the certificate of {}", oid,
                              NameOf(certificate));
    }
  }
  return absl::OkStatus();
}

bool IsSelfIssued(const Certificate& certificate) {
  return certificate.subject() == certificate.issuer();
}

// One search for a path, depth first, from the leaf up.
class PathSearch {
 public:
  PathSearch(const std::vector<Certificate>& intermediates, const std::vector<Certificate>& anchors,
             absl::Time now)
      : intermediates_(VouchedFor(intermediates, anchors)), anchors_(anchors), now_(now) {}

  absl::Status Run(const Certificate& leaf) {
    path_.push_back(&leaf);
    if (Extend()) {
      return absl::OkStatus();
    }
    return failure_;
  }

 private:
  // Whether some way leads from the end of the path to an anchor.
  bool Extend();
  // Whether issuer's key signed the last certificate of the path. A failure counts as the reason
  // only while there is no better one.
  bool Signed(const Certificate& issuer);
  // Whether issuer, who signed the last certificate of the path, was entitled to.
  absl::Status CheckIssuer(const Certificate& issuer) const;
  absl::Status CheckPathLength(const Certificate& issuer) const;
  absl::Status CheckConstraints(const Certificate& issuer) const;
  bool OnPath(const Certificate& certificate) const;

  const std::vector<const Certificate*> intermediates_;
  const std::vector<Certificate>& anchors_;
  const absl::Time now_;
  std::vector<const Certificate*> path_;  // Leaf first.
  int signature_checks_ = 0;
  absl::Status failure_ = PermissionDenied("{}", kUnknownAuthority);
  bool failure_is_of_issuer_ = false;
};

bool PathSearch::Extend() {
  const auto entitled = [this](const Certificate& issuer) {
    if (!Signed(issuer)) {
      return false;
    }
    absl::Status status = CheckIssuer(issuer);
    if (status.ok()) {
      return true;
    }
    if (!failure_is_of_issuer_) {
      failure_ = std::move(status);
      failure_is_of_issuer_ = true;
    }
    return false;
  };
  if (std::any_of(anchors_.begin(), anchors_.end(), entitled)) {
    return true;
  }
  if (path_.size() > kMaxIntermediates) {
    return false;
  }
  for (const Certificate* issuer : intermediates_) {
    if (OnPath(*issuer) || !entitled(*issuer)) {
      continue;
    }
    path_.push_back(issuer);
    if (Extend()) {
      return true;
    }
    path_.pop_back();
  }
  return false;
}

bool PathSearch::Signed(const Certificate& issuer) {
  const Certificate& child = *path_.back();
  if (child.issuer() != issuer.subject() || signature_checks_ == kMaxSignatureChecks) {
    return false;
  }
  ++signature_checks_;
  const absl::Status status = child.VerifySignedBy(issuer.public_key());
  if (!status.ok() && !failure_is_of_issuer_) {
    failure_ = PermissionDenied("{} (candidate {}: {})", kUnknownAuthority, NameOf(issuer),
                                Message(status));
  }
  return status.ok();
}

absl::Status PathSearch::CheckIssuer(const Certificate& issuer) const {
  RETURN_IF_ERROR(CheckTime(issuer, now_));
  if (!issuer.is_ca()) {
    return PermissionDenied("x509: certificate is not authorized to sign others: {} is no CA",
                            NameOf(issuer));
  }
  if (issuer.key_usage() && (*issuer.key_usage() & kKeyCertSign) == 0) {
    return PermissionDenied(
        "x509: certificate is not authorized to sign others: {} has no keyCertSign",
        NameOf(issuer));
  }
  RETURN_IF_ERROR(CheckPathLength(issuer));
  RETURN_IF_ERROR(CheckCritical(issuer, {}));
  return CheckConstraints(issuer);
}

absl::Status PathSearch::CheckPathLength(const Certificate& issuer) const {
  // Self-issued intermediates do not count (RFC 5280 §6.1.4 l).
  const auto below = std::count_if(path_.begin() + 1, path_.end(), [](const Certificate* between) {
    return !IsSelfIssued(*between);
  });
  if (issuer.path_length() && below > *issuer.path_length()) {
    return PermissionDenied("x509: too many intermediates: {} are below {}, which permits {}",
                            below, NameOf(issuer), *issuer.path_length());
  }
  return absl::OkStatus();
}

absl::Status PathSearch::CheckConstraints(const Certificate& issuer) const {
  if (!issuer.name_constraints()) {
    return absl::OkStatus();
  }
  if (issuer.name_constraints()->has_others) {
    return PermissionDenied("x509: {} has name constraints of a kind that is not supported",
                            NameOf(issuer));
  }
  for (const Certificate* below : path_) {
    // Self-issued intermediates are exempt, the leaf is not (RFC 5280 §6.1.3 b).
    if (below != path_.front() && IsSelfIssued(*below)) {
      continue;
    }
    for (const std::string& uri : below->uris()) {
      RETURN_IF_ERROR(CheckUri(uri, *issuer.name_constraints()));
    }
  }
  return absl::OkStatus();
}

bool PathSearch::OnPath(const Certificate& certificate) const {
  // The same name and key again would only lead in a circle, whatever else differs.
  return std::any_of(path_.begin(), path_.end(), [&certificate](const Certificate* on_path) {
    return on_path->subject() == certificate.subject() &&
           on_path->public_key() == certificate.public_key();
  });
}

}  // namespace

std::vector<const Certificate*> VouchedFor(const std::vector<Certificate>& intermediates,
                                           const std::vector<Certificate>& anchors) {
  std::vector<const Certificate*> issuers, others, vouched;
  const auto pointer = [](const Certificate& certificate) { return &certificate; };
  std::transform(anchors.begin(), anchors.end(), std::back_inserter(issuers), pointer);
  std::transform(intermediates.begin(), intermediates.end(), std::back_inserter(others), pointer);
  int checks = 0;
  for (size_t i = 0; i < issuers.size(); ++i) {
    const auto is_other = [&checks, &issuer = *issuers[i]](const Certificate* child) {
      return child->issuer() != issuer.subject() || ++checks > kMaxSignatureChecks ||
             !child->VerifySignedBy(issuer.public_key()).ok();
    };
    const auto signed_ones = std::stable_partition(others.begin(), others.end(), is_other);
    vouched.insert(vouched.end(), signed_ones, others.end());
    std::copy_if(signed_ones, others.end(), std::back_inserter(issuers),
                 [](const Certificate* certificate) { return certificate->is_ca(); });
    others.erase(signed_ones, others.end());
  }
  return vouched;
}

absl::Status VerifyPath(const Certificate& leaf, const std::vector<Certificate>& intermediates,
                        const std::vector<Certificate>& anchors, const PathOptions& options) {
  RETURN_IF_ERROR(CheckTime(leaf, options.now));
  RETURN_IF_ERROR(CheckCritical(leaf, options.tolerated_critical));
  return PathSearch(intermediates, anchors, options.now).Run(leaf);
}

}  // namespace assay::crypto
