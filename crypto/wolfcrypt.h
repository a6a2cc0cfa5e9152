// SPDX-License-Identifier: GPL-3.0-or-later
// What the sources of this folder share of wolfCrypt: owners of its keys, and what it keeps for
// each thread. For crypto/*.cc only.
#pragma once

#include <wolfssl/options.h>
// The options come first: they decide what the other headers declare.
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/rsa.h>

#include <memory>
#include <string_view>

#include "base/secret.h"
#include "crypto/digest.h"

namespace assay::crypto {

struct FreeEccKey {
  void operator()(ecc_key* key) const { wc_ecc_key_free(key); }
};
using EccKeyPtr = std::unique_ptr<ecc_key, FreeEccKey>;

struct FreeRsaKey {
  void operator()(RsaKey* key) const {
    wc_FreeRsaKey(key);
    Wipe(key, sizeof(*key));
    delete key;
  }
};
using RsaKeyPtr = std::unique_ptr<RsaKey, FreeRsaKey>;

// Null when memory is out. To be called on the thread that uses the key: see below.
EccKeyPtr NewEccKey();
RsaKeyPtr NewRsaKey();

// This thread's generator, seeded by the kernel; null when it could not be.
WC_RNG* ThreadRng();

// wolfCrypt keeps tables of points for every thread that works on a curve, megabytes of them, and
// never frees them by itself. After this call they go when the calling thread ends.
void FreeCurveTablesAtThreadExit();

inline const byte* AsBytes(std::string_view data) {
  return reinterpret_cast<const byte*>(data.data());
}
inline std::string_view WolfError(int error) { return wc_GetErrorString(error); }

wc_HashType WolfHashOf(Hash hash);
// The mask generation function MGF1 with this hash.
int WolfMaskOf(Hash hash);

}  // namespace assay::crypto
