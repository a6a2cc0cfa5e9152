// SPDX-License-Identifier: GPL-3.0-or-later
// FetchJWTSVID (SPIFFE Workload API §6.2.1): JWT-SVIDs of each identity that the caller has, or of
// the one it names. Owned by the event loop's thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "workload-api/jwt_svid_call.h"

namespace assay {

class FetchJwtSvid final : public JwtSvidCall {
 public:
  using JwtSvidCall::JwtSvidCall;

 protected:
  bool Parse(std::string_view bytes) override;
  absl::Status Check() override;
  size_t kept_bytes() const override { return spiffe_id_.capacity() + JwtSvidCall::kept_bytes(); }
  bool Wants(const EntryIndex::View& entry) const override {
    return spiffe_id_.empty() || entry.spiffe_id == spiffe_id_;
  }
  std::string_view asked_for() const override { return spiffe_id_; }
  void OnPatienceEnded() override { FailFetch(spiffe_id_, kNoAnswerInTime); }
  void Answer(const std::vector<Granted>& granted) override;
  std::string_view name() const override { return "FetchJWTSVID"; }

 private:
  std::string spiffe_id_;  // Asked for; empty: all.
};

}  // namespace assay
