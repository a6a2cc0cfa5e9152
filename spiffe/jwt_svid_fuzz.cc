// SPDX-License-Identifier: GPL-3.0-or-later
// Foreign bytes as a JWT-SVID: none may crash, and none may verify.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "spiffe/jwt_svid.h"

namespace assay {
namespace {

const TrustBundle& SomeBundle() {
  static const TrustBundle bundle{
      .trust_domain = TrustDomain::Parse("a.test").value(),
      .x509_authorities = {},
      .jwt_authorities =
          {{.key_id = "k",
            .public_key =
                crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value()->public_key()}},
      .sequence_number = {},
      .refresh_hint = {}};
  return bundle;
}

void Try(std::string_view bytes) {
  const absl::StatusOr<JwtSvid> svid = JwtSvid::Parse(bytes);
  if (!svid.ok()) {
    return;
  }
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  const std::string audience = svid->audience().front();
  (void)svid->CheckClaims(audience, now);
  if (!SpiffeId::Parse(svid->id().ToString()).ok() ||
      VerifyJwtSvid(*svid, {.find_authorities = [](const auto&) -> std::span<const JwtAuthority> {
                              return SomeBundle().jwt_authorities;
                            },
                            .audience = audience,
                            .now = now,
                            .check_signature = nullptr})
          .ok()) {
    std::abort();
  }
}

}  // namespace
}  // namespace assay

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  assay::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
