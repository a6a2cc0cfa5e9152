// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_sync.h"

#include <set>

namespace assay {
namespace {

// Nobody answers: the calls after this one would only wait for their own deadlines.
bool IsAway(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

SyncOutcome SyncWith(Upstream& upstream, SyncPass& pass,
                     const std::vector<std::string>& known_domains) {
  SyncOutcome outcome;
  outcome.entries = upstream.Sync(pass);
  if (IsAway(outcome.entries) || RefusalOf(outcome.entries) != Refusal::kNone) {
    return outcome;
  }
  outcome.bundle = upstream.FetchBundle();
  std::set<std::string> domains(known_domains.begin(), known_domains.end());
  domains.insert(pass.new_domains().begin(), pass.new_domains().end());
  bool away = IsAway(outcome.bundle.status());
  for (auto name = domains.begin(); name != domains.end() && !away; ++name) {
    const absl::StatusOr<TrustDomain> domain = TrustDomain::Parse(*name);
    if (!domain.ok()) {
      continue;
    }
    absl::StatusOr<TrustBundle> bundle = upstream.FetchFederatedBundle(*domain);
    away = IsAway(bundle.status());
    outcome.federated.emplace(*name, std::move(bundle));
  }
  return outcome;
}

}  // namespace assay
