// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/tss_bytes.h"

#include <tss2/tss2_mu.h>

#include <array>

namespace assay::tpm {

absl::StatusOr<std::string> Marshal(const TPMT_PUBLIC& area) {
  std::array<BYTE, sizeof(TPMT_PUBLIC)> buffer;
  size_t size = 0;
  if (Tss2_MU_TPMT_PUBLIC_Marshal(&area, buffer.data(), buffer.size(), &size) != TSS2_RC_SUCCESS) {
    return Internal("cannot write a key's public area");
  }
  return std::string(AsText(buffer.data(), size));
}

absl::StatusOr<std::string> Marshal(const TPMT_SIGNATURE& signature) {
  std::array<BYTE, sizeof(TPMT_SIGNATURE)> buffer;
  size_t size = 0;
  if (Tss2_MU_TPMT_SIGNATURE_Marshal(&signature, buffer.data(), buffer.size(), &size) !=
      TSS2_RC_SUCCESS) {
    return Internal("cannot write a signature");
  }
  return std::string(AsText(buffer.data(), size));
}

absl::StatusOr<TPM2B_PUBLIC> UnmarshalPublic(std::string_view bytes) {
  TPM2B_PUBLIC area{};
  size_t offset = 0;
  if (Tss2_MU_TPMT_PUBLIC_Unmarshal(reinterpret_cast<const BYTE*>(bytes.data()), bytes.size(),
                                    &offset, &area.publicArea) != TSS2_RC_SUCCESS ||
      offset != bytes.size()) {
    return InvalidArgument("not a TPMT_PUBLIC");
  }
  return area;
}

}  // namespace assay::tpm
