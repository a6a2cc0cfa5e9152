// SPDX-License-Identifier: GPL-3.0-or-later
// Every parser of bytes that an unattested node sends, fed the same bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tpm/devid_verifier.h"
#include "tpm/structures.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<assay::tpm::PublicArea> area = assay::tpm::PublicArea::Parse(bytes);
  if (area.ok()) {
    (void)area->Name();
    (void)area->Key();
    (void)assay::tpm::CheckEkTemplate(*area);
    (void)assay::tpm::CheckAkTemplate(*area);
    (void)assay::tpm::CheckDevIdTemplate(*area);
  }
  (void)assay::tpm::CertifyInfo::Parse(bytes);
  assay::tpm::PublicArea ak;
  ak.type = 0x0001;
  ak.scheme = 0x0014;
  ak.scheme_hash = 0x000b;
  ak.unique.assign(256, '\x7f');
  (void)assay::tpm::VerifyTpmSignature(ak, "attested", bytes);
  (void)assay::tpm::BeginVerification(bytes, {}, {}, absl::UnixEpoch());
  return 0;
}
