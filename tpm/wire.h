// SPDX-License-Identifier: GPL-3.0-or-later
// TPM structures are big-endian fields and byte strings that carry their size in front (TCG TPM 2.0
// Part 2 §4): a reader that cannot leave its bytes, and the few writers that a verifier needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace assay::tpm {

// Reads fields in order. The first one that is not there makes this and every later one zero or
// empty, and failed() true, so that a parser checks once, at its end. The bytes must outlive it.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  uint16_t U16() { return static_cast<uint16_t>(Unsigned(2)); }
  uint32_t U32() { return static_cast<uint32_t>(Unsigned(4)); }
  std::string_view Bytes(size_t size) {
    if (failed_ || size > rest_.size()) {
      failed_ = true;
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  // A TPM2B: two bytes of size, then that many bytes.
  std::string_view Sized() { return Bytes(U16()); }

  bool failed() const { return failed_; }
  // True when everything was there and nothing is left.
  bool Complete() const { return !failed_ && rest_.empty(); }

 private:
  uint64_t Unsigned(size_t size) {
    uint64_t value = 0;
    for (const char byte : Bytes(size)) {
      value = value << 8 | static_cast<unsigned char>(byte);
    }
    return value;
  }

  std::string_view rest_;
  bool failed_ = false;
};

inline std::string WireU16(size_t value) {
  return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}
inline std::string WireU32(uint32_t value) {
  return WireU16(value >> 16) + WireU16(value & 0xffff);
}
// A TPM2B of at most 65535 bytes.
inline std::string WireSized(std::string_view bytes) { return WireU16(bytes.size()).append(bytes); }

}  // namespace assay::tpm
