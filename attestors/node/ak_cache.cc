// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/ak_cache.h"

#include "base/files.h"
#include "tpm/wire.h"

namespace assay {
namespace {

constexpr size_t kMaxBytes = 8192;

}  // namespace

absl::StatusOr<tpm::KeyBlobs> LoadAk(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxBytes));
  tpm::WireReader reader(bytes);
  const std::string_view public_area = reader.Sized();
  const std::string_view private_area = reader.Sized();
  if (!reader.Complete()) {
    return DataLoss("{} is not an attestation key", path);
  }
  return tpm::KeyBlobs{.public_area = std::string(public_area),
                       .private_area = std::string(private_area)};
}

absl::Status SaveAk(const std::string& path, const tpm::KeyBlobs& ak) {
  return WriteFileAtomically(path, tpm::WireSized(ak.public_area) + tpm::WireSized(ak.private_area),
                             0600);
}

}  // namespace assay
