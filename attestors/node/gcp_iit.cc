// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/gcp_iit.h"

#include "attestors/node/shown_attestation.h"
#include "base/http_fetch.h"

namespace assay {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);
constexpr size_t kMaxBytes = 64 << 10;
// Whom the token is for: upstreams accept no other.
constexpr std::string_view kAudience = "spire-gcp-node-attestor";

}  // namespace

absl::StatusOr<std::unique_ptr<NodeAttestation>> GcpIitAttestor::Begin() {
  absl::StatusOr<std::string> token = FetchHttp(
      {.url = fmt::format("http://{}/computeMetadata/v1/instance/service-accounts/{}/identity?"
                          "audience={}&format=full",
                          options_.identity_token_host, PercentEncode(options_.service_account),
                          kAudience),
       .timeout = kPatience,
       .max_bytes = kMaxBytes,
       .plain = true,
       .headers = {"Metadata-Flavor: Google"}});
  if (!token.ok()) {
    return WithContext(token.status(),
                       "unable to retrieve valid identity token: check that this is a Compute "
                       "Engine instance with a service account");
  }
  return std::make_unique<ShownAttestation>(type(), Secret::TakeFrom(*token));
}

}  // namespace assay
