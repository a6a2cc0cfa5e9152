// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/lazy_tpm.h"

namespace assay::tpm {

absl::StatusOr<Tpm*> LazyTpm::Get() {
  // Held while the TPM is opened: whoever comes meanwhile needs the same one.
  const MutexLock lock(mutex_);
  if (tpm_ == nullptr) {
    ASSIGN_OR_RETURN(tpm_, Tpm::Open(options_));
  }
  return tpm_.get();
}

}  // namespace assay::tpm
