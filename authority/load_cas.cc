// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/load_cas.h"

#include "base/files.h"

namespace assay {

absl::StatusOr<std::vector<crypto::Certificate>> LoadCas(std::string_view option,
                                                         const std::string& path) {
  absl::StatusOr<std::string> pem = ReadFile(path);
  RETURN_IF_ERROR(WithContext(pem.status(), fmt::format("{} {}", option, path)));
  absl::StatusOr<std::vector<crypto::Certificate>> cas = crypto::Certificate::ParsePem(*pem);
  RETURN_IF_ERROR(WithContext(cas.status(), fmt::format("{} {}", option, path)));
  return cas;
}

}  // namespace assay
