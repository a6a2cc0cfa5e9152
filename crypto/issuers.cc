// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/issuers.h"

#include <algorithm>

#include "crypto/path_validation.h"

namespace assay::crypto {
namespace {

constexpr int kMaxSignatureChecks = 200;

class IssuerFinder {
 public:
  IssuerFinder(const std::vector<Certificate>& intermediates,
               const std::vector<Certificate>& anchors, absl::Time now)
      : intermediates_(intermediates), anchors_(anchors), now_(now) {}

  std::vector<Certificate> Find(const Certificate& leaf) {
    Extend(leaf, leaf, {});
    return std::move(found_);
  }

 private:
  void Extend(const Certificate& leaf, const Certificate& last, std::vector<Certificate> path) {
    for (const Certificate& anchor : anchors_) {
      if (IsIssuer(anchor, last) &&
          VerifyPath(leaf, path, {anchor}, {.now = now_, .tolerated_critical = {}}).ok()) {
        for (const Certificate& certificate : path) {
          Add(certificate);
        }
        Add(anchor);
      }
    }
    for (const Certificate& next : intermediates_) {
      const bool used = std::find(path.begin(), path.end(), next) != path.end() || next == leaf;
      if (!used && IsIssuer(next, last)) {
        path.push_back(next);
        Extend(leaf, next, path);
        path.pop_back();
      }
    }
  }

  bool IsIssuer(const Certificate& issuer, const Certificate& subject) {
    return issuer.subject() == subject.issuer() && ++checks_ <= kMaxSignatureChecks &&
           subject.VerifySignedBy(issuer.public_key()).ok();
  }

  void Add(const Certificate& certificate) {
    if (std::find(found_.begin(), found_.end(), certificate) == found_.end()) {
      found_.push_back(certificate);
    }
  }

  const std::vector<Certificate>& intermediates_;
  const std::vector<Certificate>& anchors_;
  const absl::Time now_;
  int checks_ = 0;
  std::vector<Certificate> found_;
};

}  // namespace

std::vector<Certificate> FindIssuers(const Certificate& leaf,
                                     const std::vector<Certificate>& intermediates,
                                     const std::vector<Certificate>& anchors, absl::Time now) {
  std::vector<Certificate> vouched;
  for (const Certificate* certificate : VouchedFor(intermediates, anchors)) {
    vouched.push_back(*certificate);
  }
  return IssuerFinder(vouched, anchors, now).Find(leaf);
}

}  // namespace assay::crypto
