// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/esys_library.h"

#include <dlfcn.h>

#include <cstdlib>

#include "base/log.h"

namespace assay::tpm {
namespace {

constexpr char kLibrary[] = "libtss2-esys.so.0";

void* Library() {
  static void* const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  return library;
}

}  // namespace

absl::Status LoadEsysLibrary() {
  if (Library() == nullptr) {
    return NotFound("{} cannot be loaded: install libtss2-esys-3.0.2-0, or tpm2-tss 3 or later",
                    kLibrary);
  }
  return absl::OkStatus();
}

void* EsysSymbol(const char* name) {
  void* const symbol = Library() == nullptr ? nullptr : dlsym(Library(), name);
  if (symbol == nullptr) {
    log::Error("TPM library lacks a function", {{"library", kLibrary}, {"function", name}});
    std::abort();
  }
  return symbol;
}

}  // namespace assay::tpm
