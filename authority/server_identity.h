// SPDX-License-Identifier: GPL-3.0-or-later
// The authority's own X509-SVID, spiffe://<trust domain>/spire/server, which agents know it by:
// replaced, off the loop, at half of its life and when another CA becomes active. Owned by the
// loop's thread.
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
  ~ServerIdentity();

  // Makes the first SVID, and sees to the next ones. There must be an active X.509 CA.
  absl::Status Start();
  // What the next connection presents. Unavailable when the SVID has ended and no other could be
  // made.
  absl::StatusOr<crypto::TlsIdentity> Get() const;

 private:
  struct Svid {
    std::string authority_id;  // That signed it.
    absl::Time renew_at, not_after;
    crypto::TlsIdentity identity;
  };
  static absl::StatusOr<Svid> Make(const SigningAuthority& authority,
                                   const AuthorityOptions& options, absl::Time now);
  void Look();

  State& state_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Svid svid_;
};

}  // namespace assay
