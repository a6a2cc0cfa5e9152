// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/azure_imds.h"

#include <nlohmann/json.hpp>

#include "base/http_fetch.h"
#include "crypto/json_object.h"

namespace assay {
namespace {

using crypto::JsonObject;

constexpr absl::Duration kPatience = absl::Seconds(10);
constexpr size_t kMaxBytes = 256 << 10;
constexpr size_t kMaxNonceBytes = 256;
constexpr std::string_view kVersion = "2025-04-07";

absl::StatusOr<JsonObject> Get(const std::string& url) {
  const absl::StatusOr<std::string> text = FetchHttp({.url = url,
                                                      .timeout = kPatience,
                                                      .max_bytes = kMaxBytes,
                                                      .plain = true,
                                                      .headers = {"Metadata: true"}});
  RETURN_IF_ERROR(text.status());
  absl::StatusOr<JsonObject> json = JsonObject::Parse(*text, kMaxBytes);
  return json.ok() ? std::move(json)
                   : Unavailable("unable to decode the response: {}", Message(json.status()));
}

class AzureImdsAttestation final : public NodeAttestation {
 public:
  explicit AzureImdsAttestation(AzureImdsOptions options) : options_(std::move(options)) {}

  // All that is to be said comes after the nonce; an empty payload would not do.
  absl::StatusOr<Secret> Payload() override { return Secret("non_empty_payload"); }

  absl::StatusOr<std::string> Answer(std::string_view nonce) override {
    if (nonce.empty() || nonce.size() > kMaxNonceBytes) {
      return InvalidArgument("the challenge's nonce has {} bytes, wanted 1 to {}", nonce.size(),
                             kMaxNonceBytes);
    }
    const absl::StatusOr<JsonObject> document =
        Get(fmt::format("{}/metadata/attested/document?api-version={}&nonce={}", options_.endpoint,
                        kVersion, PercentEncode(nonce)));
    RETURN_IF_ERROR(WithContext(document.status(), "unable to fetch attested document"));
    const absl::StatusOr<JsonObject> machine = Get(fmt::format(
        "{}/metadata/instance?api-version={}&format=json", options_.endpoint, kVersion));
    RETURN_IF_ERROR(WithContext(machine.status(), "unable to fetch compute metadata"));
    return Compose(*document, *machine);
  }

 private:
  absl::StatusOr<std::string> Compose(const JsonObject& document, const JsonObject& machine) const {
    const std::string encoding = document.Text("encoding").value_or("");
    const std::string signature = document.Text("signature").value_or("");
    if (encoding.empty() || signature.empty()) {
      return Unavailable("unable to fetch attested document: the response is missing its {}",
                         encoding.empty() ? "encoding" : "signature");
    }
    const absl::StatusOr<JsonObject> compute = machine.Object("compute");
    const std::string scale_set =
        compute.ok() ? compute->Text("vmScaleSetName").value_or("") : std::string();
    nlohmann::json response = {
        {"document", {{"encoding", encoding}, {"signature", signature}}},
        {"metadata", {{"agentDomain", options_.tenant_domain}, {"vmssName", nullptr}}}};
    if (!scale_set.empty()) {
      response["metadata"]["vmssName"] = scale_set;
    }
    return response.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  const AzureImdsOptions options_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<NodeAttestation>> AzureImdsAttestor::Begin() {
  return std::make_unique<AzureImdsAttestation>(options_);
}

}  // namespace assay
