// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/tpm_devid_verifier.h"

#include "authority/load_cas.h"
#include "crypto/digest.h"
#include "crypto/signature_twins.h"
#include "tpm/devid_verifier.h"

namespace assay {
namespace {

constexpr std::string_view kTpmDevId = "tpm_devid";

struct DevIdCas {
  std::vector<crypto::Certificate> devid;
  std::vector<crypto::Certificate> endorsement;
};

// That of a DevID certificate of these bytes.
std::string PathOf(std::string_view der) {
  return fmt::format("/spire/agent/{}/{}", kTpmDevId,
                     crypto::HexEncode(crypto::Digest(crypto::Hash::kSha1, der)));
}

class DevIdVerification final : public NodeVerification {
 public:
  explicit DevIdVerification(std::shared_ptr<const DevIdCas> cas) : cas_(std::move(cas)) {}

  absl::StatusOr<Verdict> Begin(std::string_view payload, absl::Time now) override {
    absl::StatusOr<tpm::DevIdSession> session =
        tpm::BeginVerification(payload, cas_->devid, cas_->endorsement, now);
    if (!session.ok()) {
      return session.status();
    }
    session_ = std::make_unique<tpm::DevIdSession>(*std::move(session));
    return Verdict{.challenge = session_->challenge, .node = std::nullopt};
  }

  absl::StatusOr<Verdict> Answer(std::string_view response) override {
    RETURN_IF_ERROR(tpm::CheckResponse(*session_, response));
    VerifiedNode node{.agent_path = PathOf(session_->devid.der())};
    for (const std::string& twin : crypto::TwinsOf(session_->devid)) {
      node.twin_paths.push_back(PathOf(twin));
    }
    for (const std::string& value : session_->selectors) {
      node.selectors.push_back({std::string(kTpmDevId), value});
    }
    return Verdict{.challenge = std::nullopt, .node = std::move(node)};
  }

 private:
  const std::shared_ptr<const DevIdCas> cas_;
  std::unique_ptr<tpm::DevIdSession> session_;  // Set between Begin and Answer.
};

}  // namespace

absl::StatusOr<std::unique_ptr<NodeVerifier>> MakeTpmDevIdVerifier(
    const NodeVerifierOptions::TpmDevId& options) {
  DevIdCas cas;
  ASSIGN_OR_RETURN(cas.devid, LoadCas("devid_ca_path", options.devid_ca_path));
  ASSIGN_OR_RETURN(cas.endorsement, LoadCas("endorsement_ca_path", options.endorsement_ca_path));
  return MakeVerifierOf<DevIdVerification>(std::move(cas));
}

}  // namespace assay
