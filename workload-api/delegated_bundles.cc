// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/delegated_bundles.h"

#include <memory>
#include <string_view>

#include "workload-api/delegated_answers.h"

namespace assay {
namespace {

// The old frame where nothing is new in it, so that nobody is sent it twice.
rpc::SharedFrame Reuse(rpc::SharedFrame old, const std::string& bytes) {
  auto frame = std::make_shared<const rpc::Frame>(std::string_view(bytes));
  return old != nullptr && old->bytes() == frame->bytes() ? old : frame;
}

}  // namespace

rpc::SharedFrame DelegatedBundles::x509() {
  Update();
  return x509_;
}

rpc::SharedFrame DelegatedBundles::jwt() {
  Update();
  return jwt_;
}

void DelegatedBundles::Update() {
  if (!state_.ready()) {
    return;
  }
  Versions versions;
  for (const auto& [trust_domain, bundle] : state_.bundles()) {
    versions.emplace_back(trust_domain, bundle.version);
  }
  if (x509_ != nullptr && versions == versions_) {
    return;
  }
  versions_ = std::move(versions);
  x509_ = Reuse(x509_, DelegatedX509BundlesAnswer(state_.bundles()));
  jwt_ = Reuse(jwt_, DelegatedJwtBundlesAnswer(state_.bundles()));
}

void DelegatedBundles::Refresh() {
  if (observers_.empty()) {
    return;
  }
  const auto before = std::pair(x509_, jwt_);
  Update();
  if (before == std::pair(x509_, jwt_)) {
    return;
  }
  for (auto next = observers_.begin(); next != observers_.end();) {
    (*next++)->OnBundlesChanged();
  }
}

}  // namespace assay
