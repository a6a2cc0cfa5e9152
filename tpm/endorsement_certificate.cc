// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/endorsement_certificate.h"

#include <algorithm>

#include "crypto/der_reader.h"

namespace assay::tpm {

absl::StatusOr<std::string> ReadNv(Esys& esys, ESYS_TR index) {
  constexpr std::string_view kWhat = "read the endorsement certificate";
  TPM2B_NV_PUBLIC* raw_public = nullptr;
  RETURN_IF_ERROR(esys.Run(kWhat, [&] {
    return ESYS(NV_ReadPublic)(esys.get(), index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                               &raw_public, nullptr);
  }));
  const EsysPtr<TPM2B_NV_PUBLIC> description(raw_public);
  const uint16_t total = description->nvPublic.dataSize;
  std::string bytes;
  while (bytes.size() < total) {
    const auto offset = static_cast<UINT16>(bytes.size());
    const auto want = std::min<UINT16>(total - offset, esys.nv_buffer_size());
    TPM2B_MAX_NV_BUFFER* raw = nullptr;
    RETURN_IF_ERROR(esys.Run(kWhat, [&] {
      return ESYS(NV_Read)(esys.get(), index, index, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                           want, offset, &raw);
    }));
    const EsysPtr<TPM2B_MAX_NV_BUFFER> part(raw);
    if (part->size != want) {
      return Unavailable("cannot {}: the TPM gave {} bytes of {}", kWhat, part->size, want);
    }
    bytes.append(reinterpret_cast<const char*>(part->buffer), part->size);
  }
  return bytes;
}

absl::StatusOr<std::string> CutToCertificate(std::string_view bytes) {
  crypto::DerReader reader(bytes);
  const absl::StatusOr<crypto::DerElement> certificate =
      reader.Read(crypto::kDerSequence, "the certificate");
  if (!certificate.ok()) {
    return FailedPrecondition("the TPM's endorsement certificate of {} bytes is damaged: {}",
                              bytes.size(), Message(certificate.status()));
  }
  return std::string(certificate->whole);
}

}  // namespace assay::tpm
