// SPDX-License-Identifier: GPL-3.0-or-later
// Foreign bytes as a trust bundle, a document or PEM: none may crash, and a document that parses
// must, written again, parse to the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "spiffe/trust_bundle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const assay::TrustDomain domain = *assay::TrustDomain::Parse("example.org");
  const absl::StatusOr<assay::TrustBundle> bundle = assay::ParseBundleDocument(domain, bytes);
  if (bundle.ok()) {
    const absl::StatusOr<assay::TrustBundle> again =
        assay::ParseBundleDocument(domain, assay::ToBundleDocument(*bundle));
    if (!again.ok() || *again != *bundle) {
      std::abort();
    }
    (void)assay::ToJwtBundleDocument(*bundle);
  }
  (void)assay::ParsePemBundle(domain, bytes);
  return 0;
}
