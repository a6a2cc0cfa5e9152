// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/aws_iid.h"

#include <nlohmann/json.hpp>

#include "attestors/node/shown_attestation.h"
#include "base/http_fetch.h"

namespace assay {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);
constexpr size_t kMaxBytes = 64 << 10;

// The path's text, asked for with the session's token.
absl::StatusOr<std::string> Get(const std::string& endpoint, const std::string& token,
                                std::string_view path) {
  return FetchHttp({.url = fmt::format("{}/latest/dynamic/instance-identity/{}", endpoint, path),
                    .timeout = kPatience,
                    .max_bytes = kMaxBytes,
                    .plain = true,
                    .headers = {"X-aws-ec2-metadata-token: " + token}});
}

absl::StatusOr<std::string> GetToken(const std::string& endpoint) {
  absl::StatusOr<std::string> token =
      FetchHttp({.url = endpoint + "/latest/api/token",
                 .timeout = kPatience,
                 .max_bytes = kMaxBytes,
                 .method = "PUT",
                 .plain = true,
                 .headers = {"X-aws-ec2-metadata-token-ttl-seconds: 300"}});
  return token.ok() ? std::move(token)
                    : WithContext(token.status(),
                                  "no session with the EC2 instance metadata service: check that "
                                  "this is an EC2 instance, and its hop limit in a container");
}

}  // namespace

absl::StatusOr<std::unique_ptr<NodeAttestation>> AwsIidAttestor::Begin() {
  const std::string& endpoint = options_.ec2_metadata_endpoint;
  ASSIGN_OR_RETURN(const std::string token, GetToken(endpoint));
  ASSIGN_OR_RETURN(const std::string document, Get(endpoint, token, "document"));
  ASSIGN_OR_RETURN(const std::string signature, Get(endpoint, token, "signature"));
  ASSIGN_OR_RETURN(const std::string rsa2048, Get(endpoint, token, "rsa2048"));
  const nlohmann::json payload = {
      {"document", document}, {"signature", signature}, {"rsa2048", rsa2048}};
  return std::make_unique<ShownAttestation>(
      type(), Secret(payload.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
}

}  // namespace assay
