// SPDX-License-Identifier: GPL-3.0-or-later
// Keeps the signing authorities fresh: prepares, activates and forgets them when it is time, and
// publishes them in the own bundle. Owned by the loop's thread.
#pragma once

#include <memory>
#include <optional>

#include "authority/certificate_authority.h"
#include "authority/state.h"
#include "base/status.h"

namespace assay {

class CaRotation final {
 public:
  // The state must outlive it.
  explicit CaRotation(State& state) : state_(state) {}
  ~CaRotation();
  CaRotation(const CaRotation&) = delete;
  CaRotation& operator=(const CaRotation&) = delete;

  // Does all that is due, here and now: before the loop runs, so that there is something to sign
  // with.
  absl::Status Settle();
  // Looks again every few seconds, on the loop.
  void Start();

 private:
  void Look();
  void LookAfter(absl::Duration delay);
  void Take(const CertificateAuthority::Step& step);
  void Record(const CertificateAuthority::Step& step, std::optional<SigningAuthority> made);

  State& state_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace assay
