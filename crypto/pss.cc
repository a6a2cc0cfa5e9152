// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/pss.h"

#include <string>

namespace assay::crypto {
namespace {

constexpr char kTrailer = '\xbc';

// MGF1 (RFC 8017 §B.2.1).
std::string Mask(Hash hash, std::string_view seed, size_t size) {
  std::string mask;
  for (unsigned counter = 0; mask.size() < size; ++counter) {
    std::string block(seed);
    for (int shift = 24; shift >= 0; shift -= 8) {
      block += static_cast<char>(counter >> shift);
    }
    mask += Digest(hash, block);
  }
  mask.resize(size);
  return mask;
}

}  // namespace

bool IsPssEncoding(Hash hash, std::string_view digest, std::string_view encoded,
                   size_t modulus_bits) {
  if (modulus_bits == 0 || encoded.size() != (modulus_bits + 7) / 8) {
    return false;
  }
  const size_t bits = modulus_bits - 1;
  if (bits % 8 == 0) {
    if (encoded.front() != '\0') {
      return false;
    }
    encoded.remove_prefix(1);
  }
  const size_t hash_size = DigestSize(hash);
  if (digest.size() != hash_size || encoded.size() < hash_size + 2 || encoded.back() != kTrailer) {
    return false;
  }
  const size_t masked_size = encoded.size() - hash_size - 1;
  const std::string_view hidden = encoded.substr(masked_size, hash_size);
  const auto spare = static_cast<unsigned>(8 * encoded.size() - bits);
  const unsigned top = 0xffu >> spare;
  if ((static_cast<unsigned char>(encoded.front()) & ~top) != 0) {
    return false;
  }
  std::string block = Mask(hash, hidden, masked_size);
  for (size_t i = 0; i < masked_size; ++i) {
    block[i] = static_cast<char>(block[i] ^ encoded[i]);
  }
  block.front() = static_cast<char>(static_cast<unsigned char>(block.front()) & top);
  const size_t one = block.find_first_not_of('\0');
  if (one == std::string::npos || block[one] != '\x01') {
    return false;
  }
  std::string salted(8, '\0');
  salted += digest;
  salted.append(block, one + 1);
  return Digest(hash, salted) == hidden;
}

}  // namespace assay::crypto
