// SPDX-License-Identifier: GPL-3.0-or-later
// What a response code of the TPM, or of a layer between it and us, means (TCG TPM 2.0 Part 2 §6.6,
// TSS 2.0 Overview §4). A TPM's code may carry the number of the handle, session or parameter it
// complains of; the questions here look through that.
#pragma once

#include <tss2/tss2_common.h>

#include <string_view>

#include "base/status.h"

namespace assay::tpm {

// The TPM itself answered with an error; otherwise a library or the way to it failed.
bool IsFromTpm(TSS2_RC code);
// The TPM refuses a password or an HMAC made with one.
bool IsWrongPassword(TSS2_RC code);
// The TPM asks for the same command again.
bool IsBusy(TSS2_RC code);
// All slots for objects or sessions are taken.
bool IsOutOfSlots(TSS2_RC code);
// The TPM finds fault with a handle or parameter, as with a key that is not its own.
bool IsBadParameter(TSS2_RC code);
// There is nothing under the handle that a command named.
bool IsNoSuchHandle(TSS2_RC code);

// The status for a failed code; what says what was tried: "sign with the DevID key".
absl::Status TpmError(TSS2_RC code, std::string_view what);

}  // namespace assay::tpm
