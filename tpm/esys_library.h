// SPDX-License-Identifier: GPL-3.0-or-later
// tpm2-tss's ESYS, loaded when a TPM is opened: it brings a cryptographic library of its own, whose
// memory the roles and nodes without a TPM then do not pay.
#pragma once

#include <tss2/tss2_esys.h>

#include "base/status.h"

namespace assay::tpm {

// NotFound, with the package that has it, when the library is not there.
absl::Status LoadEsysLibrary();

// The address of a function of the library, which must have been loaded.
void* EsysSymbol(const char* name);

template <typename Function>
Function EsysFunction(const char* name) {
  return reinterpret_cast<Function>(EsysSymbol(name));
}

// ESYS(Sign)(context, ...) calls Esys_Sign.
#define ESYS(name) ::assay::tpm::EsysFunction<decltype(&Esys_##name)>("Esys_" #name)

}  // namespace assay::tpm
