// SPDX-License-Identifier: GPL-3.0-or-later
// Reads DER (X.690): one-byte tags, definite lengths in their shortest form, of at most 2^24 bytes.
// A reader walks the elements of one level; who wants the level below enters it by name, so depth
// is bounded by the code, not by the bytes. Everything returned points into the bytes given.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace assay::crypto {

// Tags: class, constructed bit and number in one byte.
enum DerTag : uint8_t {
  kDerBoolean = 0x01,
  kDerInteger = 0x02,
  kDerBitString = 0x03,
  kDerOctetString = 0x04,
  kDerNull = 0x05,
  kDerOid = 0x06,
  kDerUtf8String = 0x0c,
  kDerPrintableString = 0x13,
  kDerTeletexString = 0x14,
  kDerIa5String = 0x16,
  kDerUtcTime = 0x17,
  kDerGeneralizedTime = 0x18,
  kDerBmpString = 0x1e,
  kDerSequence = 0x30,
  kDerSet = 0x31,
};
// [number] IMPLICIT of a primitive type, and [number] EXPLICIT or of a constructed type.
constexpr uint8_t DerContext(unsigned number) { return static_cast<uint8_t>(0x80 | number); }
constexpr uint8_t DerContextConstructed(unsigned number) {
  return static_cast<uint8_t>(0xa0 | number);
}

struct DerElement {
  uint8_t tag;
  std::string_view content;
  std::string_view whole;  // Tag and length included.
};

class DerReader {
 public:
  explicit DerReader(std::string_view bytes) : rest_(bytes) {}

  bool AtEnd() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  // Whether the next element has this tag.
  bool NextIs(uint8_t tag) const {
    return !rest_.empty() && static_cast<uint8_t>(rest_.front()) == tag;
  }

  absl::StatusOr<DerElement> ReadAny();
  // The next element, which must have this tag; what names it in the error.
  absl::StatusOr<DerElement> Read(uint8_t tag, std::string_view what);
  // A reader of the content of the next element.
  absl::StatusOr<DerReader> Enter(uint8_t tag, std::string_view what);
  // InvalidArgument when bytes are left.
  absl::Status End(std::string_view what) const;

  // The content of an INTEGER, in its shortest form, two's complement.
  absl::StatusOr<std::string_view> ReadInteger(std::string_view what);
  // A positive or zero INTEGER without leading zeros (zero is empty).
  absl::StatusOr<std::string_view> ReadUnsigned(std::string_view what);
  // An INTEGER of 0 to 2^31-1.
  absl::StatusOr<int> ReadSmall(std::string_view what);
  absl::StatusOr<bool> ReadBoolean(std::string_view what);
  // Dotted form.
  absl::StatusOr<std::string> ReadOid(std::string_view what);
  // The bytes of a BIT STRING without unused bits.
  absl::StatusOr<std::string_view> ReadBitString(std::string_view what);
  // A BIT STRING of named bits, bit 0 of the standard being 1<<0 here; those from 32 on are lost.
  absl::StatusOr<unsigned> ReadNamedBits(std::string_view what);
  // UTCTime or GeneralizedTime, both with seconds and Z (RFC 5280 §4.1.2.5).
  absl::StatusOr<absl::Time> ReadTime(std::string_view what);

 private:
  std::string_view rest_;
};

}  // namespace assay::crypto
