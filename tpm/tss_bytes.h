// SPDX-License-Identifier: GPL-3.0-or-later
// Between tpm2-tss's structures and their bytes on the wire (TCG TPM 2.0 Part 2).
#pragma once

#include <tss2/tss2_tpm2_types.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "base/status.h"

namespace assay::tpm {

inline std::string_view AsText(const BYTE* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// Copies text into a TPM2B; false when it does not fit. Its field has a name of its own in each.
template <size_t Capacity>
bool Fill(UINT16& size, BYTE (&buffer)[Capacity], std::string_view text) {
  if (text.size() > Capacity) {
    return false;
  }
  size = static_cast<UINT16>(text.size());
  std::copy(text.begin(), text.end(), buffer);
  return true;
}

// The bytes of the structure, without a size in front.
absl::StatusOr<std::string> Marshal(const TPMT_PUBLIC& area);
absl::StatusOr<std::string> Marshal(const TPMT_SIGNATURE& signature);
// Exactly one TPMT_PUBLIC; InvalidArgument for anything else.
absl::StatusOr<TPM2B_PUBLIC> UnmarshalPublic(std::string_view bytes);

}  // namespace assay::tpm
