// SPDX-License-Identifier: GPL-3.0-or-later
// KeyManager "tpm": the agent's key is made in the TPM and never leaves it. On disk are its blobs,
// which that TPM alone can use, so that a restart keeps the agent's SVID.
#pragma once

#include <memory>
#include <string>

#include "agent/identity_keys.h"
#include "base/secret.h"
#include "crypto/key.h"
#include "tpm/lazy_tpm.h"

namespace assay {

struct TpmKeysOptions {
  std::shared_ptr<tpm::LazyTpm> tpm;
  std::string path;  // Of the file with the blobs.
  crypto::KeyType type = crypto::KeyType::kEcP256;
  Secret owner_hierarchy_password;
};

// The signers must not outlive the LazyTpm. Load is Aborted when the TPM was cleared since the key
// was made, or is another. A password that the TPM refuses is FailedPrecondition: the operator's to
// mend.
std::unique_ptr<AgentKeys> MakeTpmKeys(TpmKeysOptions options);

}  // namespace assay
