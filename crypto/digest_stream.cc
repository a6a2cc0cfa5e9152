// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/digest_stream.h"

#include <wolfssl/options.h>
// options.h comes first: it sets what the header below declares.
#include <wolfssl/wolfcrypt/hash.h>

#include <algorithm>
#include <cstdlib>

namespace assay::crypto {
namespace {

// wolfCrypt takes lengths of 32 bits.
constexpr size_t kLongestUpdate = 1 << 30;

wc_HashType WolfHash(Hash hash) {
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
  std::abort();
}

// wolfCrypt's hashes in software fail only on arguments that are wrong.
void Check(int result) {
  if (result != 0) {
    std::abort();
  }
}

}  // namespace

struct DigestStream::State {
  wc_HashType type;
  size_t size;
  wc_HashAlg algorithm;
};

DigestStream::DigestStream(Hash hash) : state_(new State{WolfHash(hash), DigestSize(hash), {}}) {
  Check(wc_HashInit(&state_->algorithm, state_->type));
}

DigestStream::~DigestStream() { wc_HashFree(&state_->algorithm, state_->type); }

void DigestStream::Update(std::string_view data) {
  while (!data.empty()) {
    const std::string_view piece = data.substr(0, std::min(data.size(), kLongestUpdate));
    Check(wc_HashUpdate(&state_->algorithm, state_->type,
                        reinterpret_cast<const byte*>(piece.data()),
                        static_cast<word32>(piece.size())));
    data.remove_prefix(piece.size());
  }
}

std::string DigestStream::Finish() {
  std::string digest(state_->size, '\0');
  Check(wc_HashFinal(&state_->algorithm, state_->type, reinterpret_cast<byte*>(digest.data())));
  return digest;
}

}  // namespace assay::crypto
