// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/key_file.h"

#include <string_view>

#include "base/files.h"
#include "tpm/wire.h"

namespace assay::tpm {
namespace {

constexpr size_t kMaxBytes = 8192;
constexpr mode_t kMode = 0600;

}  // namespace

absl::StatusOr<std::vector<KeyBlobs>> LoadKeyFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxBytes));
  if (bytes.empty()) {
    return NotFound("{} holds no key", path);
  }
  WireReader reader(bytes);
  std::vector<KeyBlobs> keys;
  while (!reader.Complete()) {
    const std::string_view public_area = reader.Sized();
    const std::string_view private_area = reader.Sized();
    if (reader.failed() || public_area.empty() || private_area.empty()) {
      return DataLoss("{} does not hold keys of a TPM", path);
    }
    keys.push_back(
        {.public_area = std::string(public_area), .private_area = std::string(private_area)});
  }
  return keys;
}

absl::Status SaveKeyFile(const std::string& path, const std::vector<KeyBlobs>& keys) {
  std::string bytes;
  for (const KeyBlobs& key : keys) {
    bytes += WireSized(key.public_area) + WireSized(key.private_area);
  }
  return WriteFileAtomically(path, bytes, kMode);
}

}  // namespace assay::tpm
