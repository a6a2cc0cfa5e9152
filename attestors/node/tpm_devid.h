// SPDX-License-Identifier: GPL-3.0-or-later
// tpm_devid node attestation: the node shows its DevID certificate (IEEE 802.1AR), and proves that
// the certificate's key lives in the TPM that its manufacturer's endorsement certificate is for.
// The messages and files are those of spire-agent's attestor of this name.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attestors/node/node_attestor.h"
#include "base/secret.h"
#include "base/status.h"
#include "tpm/lazy_tpm.h"
#include "tpm/tpm.h"

namespace assay {

struct TpmDevIdOptions {
  std::shared_ptr<tpm::LazyTpm> tpm;  // Which others in the process may use too.
  std::string devid_cert_path;        // PEM: the DevID certificate, then its intermediates.
  std::string devid_priv_path;        // Blobs without the TPM2B size.
  std::string devid_pub_path;
  Secret devid_password;
  Secret owner_hierarchy_password;
  Secret endorsement_hierarchy_password;
  // Where the attestation key is kept between attestations, for a TPM takes seconds to make one.
  // The file is of use to this TPM alone.
  std::string ak_cache_path;
};

// Not thread-safe. It must outlive the attestations it began.
class TpmDevIdAttestor final : public NodeAttestor {
 public:
  // Reads the DevID's files. FailedPrecondition when the certificate is not for the key.
  static absl::StatusOr<std::unique_ptr<TpmDevIdAttestor>> Create(TpmDevIdOptions options);

  std::string_view type() const override { return "tpm_devid"; }
  // Opens the TPM when it is not yet open; errors are the Tpm's, but PermissionDenied, which is
  // FailedPrecondition here: a password is the operator's to mend.
  absl::StatusOr<std::unique_ptr<NodeAttestation>> Begin() override;

 private:
  friend class TpmDevIdAttestation;
  struct Identity {
    std::vector<std::string> chain;  // DER, leaf first.
    tpm::KeyBlobs key;
  };

  TpmDevIdAttestor(std::shared_ptr<tpm::LazyTpm> tpm, std::string ak_cache_path, Identity identity,
                   tpm::Passwords passwords)
      : tpm_(std::move(tpm)),
        ak_cache_path_(std::move(ak_cache_path)),
        identity_(std::move(identity)),
        passwords_(std::move(passwords)) {}

  const std::shared_ptr<tpm::LazyTpm> tpm_;
  const std::string ak_cache_path_;
  const Identity identity_;
  const tpm::Passwords passwords_;
};

}  // namespace assay
