// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/return_code.h"

#include <tss2/tss2_rc.h>
#include <tss2/tss2_tpm2_types.h>

namespace assay::tpm {
namespace {

// The error without the number of what it complains of.
TSS2_RC Base(TSS2_RC code) {
  constexpr TSS2_RC kFormatOneError = TPM2_RC_FMT1 | 0x3f;
  return (code & TPM2_RC_FMT1) != 0 ? code & kFormatOneError : code & 0xfff;
}

bool Is(TSS2_RC code, TSS2_RC base) { return IsFromTpm(code) && Base(code) == base; }

}  // namespace

bool IsFromTpm(TSS2_RC code) {
  const TSS2_RC layer = code & TSS2_RC_LAYER_MASK;
  return code != TSS2_RC_SUCCESS &&
         (layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER);
}

bool IsWrongPassword(TSS2_RC code) {
  return Is(code, TPM2_RC_AUTH_FAIL) || Is(code, TPM2_RC_BAD_AUTH);
}

bool IsBusy(TSS2_RC code) {
  return Is(code, TPM2_RC_RETRY) || Is(code, TPM2_RC_YIELDED) || Is(code, TPM2_RC_TESTING) ||
         Is(code, TPM2_RC_NV_RATE);
}

bool IsOutOfSlots(TSS2_RC code) {
  return Is(code, TPM2_RC_OBJECT_MEMORY) || Is(code, TPM2_RC_SESSION_MEMORY) ||
         Is(code, TPM2_RC_SESSION_HANDLES) || Is(code, TPM2_RC_MEMORY) ||
         Is(code, TPM2_RC_CONTEXT_GAP);
}

bool IsBadParameter(TSS2_RC code) { return IsFromTpm(code) && (code & TPM2_RC_FMT1) != 0; }

bool IsNoSuchHandle(TSS2_RC code) { return Is(code, TPM2_RC_HANDLE); }

absl::Status TpmError(TSS2_RC code, std::string_view what) {
  if (Is(code, TPM2_RC_LOCKOUT)) {
    return ResourceExhausted(
        "cannot {}: the TPM is locked out after wrong passwords: wait until it recovers, or run "
        "tpm2_dictionarylockout -c",
        what);
  }
  const std::string words = fmt::format("0x{:x} {}", code, Tss2_RC_Decode(code));
  if (IsWrongPassword(code)) {
    return PermissionDenied("cannot {}: wrong password ({})", what, words);
  }
  if (IsOutOfSlots(code)) {
    return Unavailable("cannot {}: another user of the TPM holds all of its slots ({})", what,
                       words);
  }
  if (IsBusy(code)) {
    return Unavailable("cannot {}: the TPM is busy ({})", what, words);
  }
  if (Is(code, TPM2_RC_INITIALIZE) || Is(code, TPM2_RC_FAILURE)) {
    return Unavailable("cannot {}: the TPM was not started, or failed ({}): restart it", what,
                       words);
  }
  if (IsBadParameter(code)) {
    return FailedPrecondition("cannot {}: the TPM refuses it ({})", what, words);
  }
  return Unavailable("cannot {}: {}", what, words);
}

}  // namespace assay::tpm
