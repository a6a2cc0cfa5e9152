// SPDX-License-Identifier: GPL-3.0-or-later
// The authority's own X509-SVID, spiffe://<trust domain>/spire/server, which agents know it by:
// replaced at half of its life, and when another CA becomes active. Owned by the loop's thread.
#pragma once

#include <absl/time/time.h>

#include <memory>

#include "authority/state.h"
#include "base/status.h"
#include "crypto/tls.h"

namespace assay {

class ServerIdentity final {
 public:
  // The state must outlive it.
  explicit ServerIdentity(State& state) : state_(state) {}

  // What the next connection presents; a new SVID is made when it is time.
  absl::StatusOr<crypto::TlsIdentity> Get();

 private:
  absl::Status Renew(const SigningAuthority& authority);

  State& state_;
  std::string authority_id_;  // That signed the SVID.
  absl::Time renew_at_ = absl::InfinitePast();
  crypto::TlsIdentity identity_;
};

}  // namespace assay
