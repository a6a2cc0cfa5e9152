// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/wolfcrypt.h"

#include <new>

#include "crypto/curve_tables.h"

namespace assay::crypto {
namespace {

struct CurveTables {
  CurveTables() = default;
  ~CurveTables() { wc_ecc_fp_free(); }
  bool touched = false;
};

struct Generator {
  Generator() : rng(new WC_RNG{}), ready(wc_InitRng(rng.get()) == 0) {}
  ~Generator() {
    if (ready) {
      wc_FreeRng(rng.get());
    }
  }
  std::unique_ptr<WC_RNG> rng;
  bool ready;
};

}  // namespace

void FreeCurveTables() { wc_ecc_fp_free(); }

void FreeCurveTablesAtThreadExit() {
  thread_local CurveTables tables;
  // A use, so that the object comes to be on this thread.
  tables.touched = true;
}

EccKeyPtr NewEccKey() {
  FreeCurveTablesAtThreadExit();
  return EccKeyPtr(wc_ecc_key_new(nullptr));
}

RsaKeyPtr NewRsaKey() {
  RsaKeyPtr key(new (std::nothrow) RsaKey{});
  if (key == nullptr || wc_InitRsaKey(key.get(), nullptr) != 0) {
    return nullptr;
  }
  return key;
}

WC_RNG* ThreadRng() {
  thread_local Generator generator;
  return generator.ready ? generator.rng.get() : nullptr;
}

wc_HashType WolfHashOf(Hash hash) {
  switch (hash) {
    case Hash::kSha1:
      return WC_HASH_TYPE_SHA;
    case Hash::kSha256:
      return WC_HASH_TYPE_SHA256;
    case Hash::kSha384:
      return WC_HASH_TYPE_SHA384;
    case Hash::kSha512:
      return WC_HASH_TYPE_SHA512;
  }
  return WC_HASH_TYPE_NONE;
}

int WolfMaskOf(Hash hash) {
  switch (hash) {
    case Hash::kSha1:
      return WC_MGF1SHA1;
    case Hash::kSha256:
      return WC_MGF1SHA256;
    case Hash::kSha384:
      return WC_MGF1SHA384;
    case Hash::kSha512:
      return WC_MGF1SHA512;
  }
  return WC_MGF1NONE;
}

}  // namespace assay::crypto
