// SPDX-License-Identifier: GPL-3.0-or-later
// bundle show.
#include <nlohmann/json.hpp>
#include <ostream>

#include "authority/cli_client.h"
#include "authority/cli_command.h"
#include "authority/cli_output.h"
#include "crypto/pem.h"
#include "spiffe/trust_bundle.h"
#include "spire/api/server/bundle/v1/bundle.grpc.pb.h"

namespace assay {
namespace {

namespace types = spire::api::types;
namespace bundle_api = spire::api::server::bundle::v1;

absl::StatusOr<TrustBundle> FromProto(const types::Bundle& proto) {
  ASSIGN_OR_RETURN(TrustDomain trust_domain, TrustDomain::Parse(proto.trust_domain()));
  TrustBundle bundle{std::move(trust_domain), {}, {}, {}, {}};
  for (const types::X509Certificate& authority : proto.x509_authorities()) {
    ASSIGN_OR_RETURN(auto certificate, crypto::Certificate::Parse(authority.asn1()));
    bundle.x509_authorities.push_back({std::move(certificate), authority.tainted()});
  }
  for (const types::JWTKey& authority : proto.jwt_authorities()) {
    ASSIGN_OR_RETURN(auto key, crypto::PublicKey::ParseSpki(authority.public_key()));
    bundle.jwt_authorities.push_back(
        {authority.key_id(), std::move(key), authority.expires_at(), authority.tainted()});
  }
  if (proto.refresh_hint() > 0) {
    bundle.refresh_hint = absl::Seconds(proto.refresh_hint());
  }
  if (proto.sequence_number() > 0) {
    bundle.sequence_number = proto.sequence_number();
  }
  return bundle;
}

// The SPIFFE bundle document, indented for people.
absl::StatusOr<std::string> DocumentOf(const types::Bundle& proto) {
  const auto bundle = FromProto(proto);
  if (!bundle.ok()) {
    return WithContext(bundle.status(), "upstream's bundle");
  }
  const auto json = nlohmann::ordered_json::parse(ToBundleDocument(*bundle), nullptr, false);
  return json.dump(4) + "\n";
}

class ShowBundle final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override {
    flags.Add("format", format_,
              "How the pretty output shows the bundle: \"pem\" (the X.509 authorities) or "
              "\"spiffe\" (the SPIFFE bundle document)");
  }

  absl::Status Run(const CliContext& context) override {
    ASSIGN_OR_RETURN(
        const types::Bundle bundle,
        context.api.Call(&bundle_api::Bundle::Stub::GetBundle, bundle_api::GetBundleRequest()));
    std::ostream& out = context.streams.out;
    if (context.format == OutputFormat::kJson) {
      out << ToJsonLine(bundle);
    } else if (format_ == "pem" || format_.empty()) {
      for (const types::X509Certificate& authority : bundle.x509_authorities()) {
        out << crypto::PemEncode("CERTIFICATE", authority.asn1());
      }
    } else if (format_ == "spiffe") {
      ASSIGN_OR_RETURN(const std::string document, DocumentOf(bundle));
      out << document;
    } else {
      return InvalidArgument("invalid format: {}", GoQuoted(format_));
    }
    return absl::OkStatus();
  }

 private:
  std::string format_ = "pem";
};

}  // namespace

std::vector<CliEntry> BundleCommands() {
  return {{"bundle", "show", "Prints the trust bundle", &MakeCommand<ShowBundle>}};
}

}  // namespace assay
