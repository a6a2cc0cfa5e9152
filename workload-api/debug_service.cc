// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/debug_service.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "crypto/certificate.h"
#include "spiffe/spiffe_id.h"
#include "spire/api/agent/debug/v1/debug.pb.h"

namespace assay {
namespace {

using crypto::Certificate;
using spire::agent::debug::v1::GetInfoRequest;
using spire::agent::debug::v1::GetInfoResponse;

void AddCertificate(const Certificate& certificate, GetInfoResponse& response) {
  GetInfoResponse::Cert& told = *response.add_svid_chain();
  const absl::StatusOr<SpiffeId> id = certificate.uris().size() == 1
                                          ? SpiffeId::Parse(certificate.uris().front())
                                          : InvalidArgument("no single URI");
  if (id.ok()) {
    told.mutable_id()->set_trust_domain(id->trust_domain().name());
    told.mutable_id()->set_path(id->path());
  }
  told.set_expires_at(absl::ToUnixSeconds(certificate.not_after()));
  told.set_subject(certificate.SubjectText());
}

// The certificates, and the authority that signed the last.
absl::Status AddChain(std::string_view chain_der, const ServedState::Bundle* bundle,
                      GetInfoResponse& response) {
  ASSIGN_OR_RETURN(const std::vector<Certificate> chain, Certificate::ParseConcatenated(chain_der));
  for (const Certificate& certificate : chain) {
    AddCertificate(certificate, response);
  }
  ASSIGN_OR_RETURN(const std::vector<Certificate> authorities,
                   Certificate::ParseConcatenated(bundle == nullptr ? std::string_view()
                                                                    : bundle->x509_authorities));
  const auto root =
      std::find_if(authorities.begin(), authorities.end(), [&](const auto& authority) {
        return authority.subject() == chain.back().issuer() &&
               chain.back().VerifySignedBy(authority.public_key()).ok();
      });
  if (root == authorities.end()) {
    return Internal("no authority of the trust bundle has signed it");
  }
  AddCertificate(*root, response);
  return absl::OkStatus();
}

}  // namespace

void DebugService::AddTo(rpc::Registry& registry) {
  registry.Add(
      "/spire.agent.debug.v1.Debug/GetInfo",
      rpc::Unary<GetInfoRequest>(
          [this](rpc::Call& call, const GetInfoRequest&, const rpc::Responder& responder) {
            GetInfoResponse response;
            const absl::Status chain = AddChain(
                state_.agent_chain(), state_.FindBundle(options_.trust_domain.name()), response);
            if (!chain.ok()) {
              responder.Fail(Internal("failed to verify agent SVID: {}", Message(chain)));
              return;
            }
            const auto count = static_cast<int32_t>(state_.svid_count());
            response.set_uptime(
                static_cast<int32_t>(absl::ToInt64Seconds(clock_.Now() - options_.started_at)));
            response.set_last_sync_success(state_.last_sync());
            response.set_svids_count(count);
            response.set_cached_x509_svids_count(count);
            response.set_cached_jwt_svids_count(static_cast<int32_t>(jwt_tokens_.size()));
            response.set_cached_svidstore_x509_svids_count(state_.store_svid_count());
            call.Send(std::make_shared<const rpc::Frame>(response));
            call.Finish(absl::OkStatus());
          }));
}

}  // namespace assay
