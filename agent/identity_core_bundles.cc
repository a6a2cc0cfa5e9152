// SPDX-License-Identifier: GPL-3.0-or-later
// IdentityCore: trust bundles, each fetched apart from the others and from the entries, and what
// follows when an authority becomes tainted or is revoked.
#include <algorithm>
#include <utility>

#include "agent/identity_core.h"
#include "base/log.h"
#include "crypto/digest.h"

namespace assay {
namespace {

constexpr std::string_view kSubsystem = "manager";
constexpr std::string_view kCacheSubsystem = "cache_manager";
// A replica that lags behind has caught up by then; what is still older was restored.
constexpr absl::Duration kPatienceWithOlder = absl::Minutes(10);

using KeyIds = std::set<std::string>;

KeyIds AuthorityKeyIds(const TrustBundle& bundle, bool tainted_alone) {
  KeyIds ids;
  for (const X509Authority& authority : bundle.x509_authorities) {
    if ((authority.tainted || !tainted_alone) && !authority.certificate.subject_key_id().empty()) {
      ids.insert(authority.certificate.subject_key_id());
    }
  }
  return ids;
}

KeyIds TaintedJwtKeyIds(const TrustBundle& bundle) {
  KeyIds ids;
  for (const JwtAuthority& authority : bundle.jwt_authorities) {
    if (authority.tainted) {
      ids.insert(authority.key_id);
    }
  }
  return ids;
}

// Those of the first that the second does not have.
std::vector<std::string> Without(const KeyIds& ids, const KeyIds& others) {
  std::vector<std::string> left;
  std::set_difference(ids.begin(), ids.end(), others.begin(), others.end(),
                      std::back_inserter(left));
  return left;
}

std::string HexList(const std::vector<std::string>& ids) {
  std::vector<std::string> texts;
  for (const std::string& id : ids) {
    texts.push_back(crypto::HexEncode(id));
  }
  return fmt::format("{}", fmt::join(texts, ","));
}

}  // namespace

void IdentityCore::BeginBundle(const std::string& name) {
  const absl::StatusOr<TrustDomain> domain = TrustDomain::Parse(name);
  const auto at = bundles_.find(name);
  std::optional<uint64_t> known;
  if (at != bundles_.end() && !foreign_numbers_.contains(name) &&
      !bundle_schedule_.WantsWhole(name, Now())) {
    known = at->second.sequence_number;
  }
  bundle_busy_ = true;
  around_.run_bundles([this, domain, known, name, number = node_number_] {
    auto answer = std::make_shared<BundleAnswer>(
        domain.ok() ? PollBundle(around_.upstream, options_.trust_domain, *domain, known)
                    : BundleAnswer(domain.status()));
    around_.loop.Post([this, name, answer, number] {
      bundle_busy_ = false;
      OnBundle(name, *answer, number);
    });
  });
}

void IdentityCore::OnBundle(const std::string& name, BundleAnswer& answer, uint64_t node_number) {
  if (phase_ == Phase::kStopped) {
    return;
  }
  // An answer to what the node was before may be another upstream's.
  if (node_number == node_number_) {
    if (!answer.ok()) {
      OnBundleFailed(name, answer.status());
    } else if (bundle_schedule_.Succeed(name, Now(), around_.random)) {
      log::Info("Trust bundle has been fetched again",
                {{"subsystem_name", kSubsystem}, {"trust_domain_id", name}});
    }
    if (answer.ok() && answer->has_value()) {
      bundle_schedule_.NoteWhole(name, Now());
      TakeBundle(name, **std::move(answer));
    } else if (answer.ok()) {
      older_since_.erase(name);
    }
  }
  ServeOnceComplete();
  Step();
}

void IdentityCore::OnBundleFailed(const std::string& name, const absl::Status& why) {
  const bool is_first =
      bundle_schedule_.Fail(name, absl::IsUnavailable(why), Now(), around_.random);
  // Where the entries fail too, that is told.
  log::Write(is_first && !sync_fails_ ? log::Level::kWarn : log::Level::kDebug,
             "Fetching a trust bundle failed; it is tried again",
             {{"error", why}, {"subsystem_name", kSubsystem}, {"trust_domain_id", name}});
  const bool is_own = name == options_.trust_domain.name();
  if (!is_own && absl::IsNotFound(why) && bundles_.erase(name) > 0) {
    TellOfBundle(name);
  }
}

void IdentityCore::TellOfBundle(const std::string& name) {
  if (serve_ != nullptr) {
    serve_->BundleChanged(name);
  }
  NoteChange();
}

void IdentityCore::TakeBundle(const std::string& name, TrustBundle bundle) {
  const bool is_own = name == options_.trust_domain.name();
  const std::vector<std::string> wanted = entries_.FederatedDomains();
  if (!is_own && !std::binary_search(wanted.begin(), wanted.end(), name)) {
    return;
  }
  if (IsOlder(name, bundle)) {
    return;
  }
  foreign_numbers_.erase(name);
  const auto at = bundles_.find(name);
  if (at != bundles_.end() && at->second == bundle) {
    return;
  }
  if (at != bundles_.end()) {
    log::Debug("Bundle updated", {{"subsystem_name", kCacheSubsystem}, {"trust_domain_id", name}});
  }
  if (is_own) {
    ReplaceIssuedBy(bundle);
    around_.run_sync([this, bundle] { around_.node.SetBundle(bundle); });
  }
  bundles_.insert_or_assign(name, std::move(bundle));
  TellOfBundle(name);
}

// Of several replicas of an upstream one may lag behind: authorities that came and went with each
// answer would fail everybody's verification.
bool IdentityCore::IsOlder(const std::string& name, const TrustBundle& bundle) {
  const auto at = bundles_.find(name);
  if (at == bundles_.end() || foreign_numbers_.contains(name) ||
      !bundle.sequence_number.has_value() || !at->second.sequence_number.has_value() ||
      *bundle.sequence_number >= *at->second.sequence_number) {
    older_since_.erase(name);
    return false;
  }
  const auto [since, is_first] = older_since_.try_emplace(name, Now());
  if (is_first) {
    log::Warn("The upstream's trust bundle is older than the one here, which is kept",
              {{"known", *at->second.sequence_number},
               {"sequence_number", *bundle.sequence_number},
               {"subsystem_name", kSubsystem},
               {"trust_domain_id", name}});
  }
  if (Now() - since->second < kPatienceWithOlder) {
    return true;
  }
  older_since_.erase(since);
  return false;
}

// What was issued by an authority that is not to be trusted any more is replaced at once.
void IdentityCore::ReplaceIssuedBy(const TrustBundle& bundle) {
  const auto known = bundles_.find(options_.trust_domain.name());
  const bool is_known = known != bundles_.end();
  const KeyIds tainted = AuthorityKeyIds(bundle, true);
  const std::vector<std::string> newly = Without(tainted, tainted_);
  tainted_ = tainted;
  if (!newly.empty()) {
    log::Info("New tainted X.509 authorities found",
              {{"subject_key_ids", HexList(newly)}, {"subsystem_name", kSubsystem}});
    for (const std::string& id : newly) {
      ReplaceSvidsOf(id);
    }
  }
  const std::vector<std::string> newly_jwt =
      Without(TaintedJwtKeyIds(bundle), is_known ? TaintedJwtKeyIds(known->second) : KeyIds());
  if (!newly_jwt.empty()) {
    log::Info("New tainted JWT authorities found",
              {{"jwt_authority_key_ids", fmt::format("{}", fmt::join(newly_jwt, ","))},
               {"subsystem_name", kSubsystem}});
  }
  DropJwtSvids(bundle);
  const std::vector<std::string> revoked =
      is_known ? Without(AuthorityKeyIds(known->second, false), AuthorityKeyIds(bundle, false))
               : std::vector<std::string>();
  if (!revoked.empty()) {
    log::Info("X.509 authorities have left the trust bundle",
              {{"subject_key_ids", HexList(revoked)}, {"subsystem_name", kSubsystem}});
    for (const std::string& id : revoked) {
      ReplaceSvidsOf(id);
    }
  }
}

void IdentityCore::ReplaceSvidsOf(const std::string& authority_key_id) {
  if (calls_as_node()) {
    given_up_.insert(authority_key_id);
  }
  const std::vector<std::string> issued = svids_.IssuedBy(authority_key_id);
  if (!issued.empty()) {
    log::Info("Scheduled rotation for SVID entries due to tainted X.509 authorities",
              {{"count", issued.size()}, {"subsystem_name", kCacheSubsystem}});
  }
  for (const std::string& entry_id : issued) {
    Enqueue(entry_id, Urgency::kExpiring, around_.clock.Now());
  }
  if (node_.has_value() && node_->authority_key_id == authority_key_id &&
      rotation_ != Rotation::kNow) {
    log::Info("Agent SVID is tainted by a root authority, forcing rotation",
              {{"subsystem_name", kSubsystem}});
    rotation_ = Rotation::kNow;
    rotate_after_ = absl::ZeroDuration();
  }
}

// Those that no entry names any more.
void IdentityCore::DropForeignBundles() {
  const std::vector<std::string> wanted = entries_.FederatedDomains();
  for (auto at = bundles_.begin(); at != bundles_.end();) {
    if (at->first == options_.trust_domain.name() ||
        std::binary_search(wanted.begin(), wanted.end(), at->first)) {
      ++at;
      continue;
    }
    const std::string name = at->first;
    at = bundles_.erase(at);
    foreign_numbers_.erase(name);
    older_since_.erase(name);
    TellOfBundle(name);
  }
}

}  // namespace assay
