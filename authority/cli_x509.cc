// SPDX-License-Identifier: GPL-3.0-or-later
// x509 mint.
#include <nlohmann/json.hpp>
#include <ostream>

#include "authority/cli_client.h"
#include "authority/cli_command.h"
#include "authority/cli_output.h"
#include "base/files.h"
#include "crypto/digest.h"
#include "crypto/issue.h"
#include "crypto/key.h"
#include "crypto/pem.h"
#include "spiffe/spiffe_id.h"
#include "spire/api/server/bundle/v1/bundle.grpc.pb.h"
#include "spire/api/server/svid/v1/svid.grpc.pb.h"

namespace assay {
namespace {

namespace types = spire::api::types;
namespace bundle_api = spire::api::server::bundle::v1;
namespace svid_api = spire::api::server::svid::v1;

struct Minted {
  std::unique_ptr<crypto::PrivateKey> key;
  types::X509SVID svid;
  types::Bundle bundle;
};

class MintX509 final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override {
    flags.Add("spiffeID", spiffe_id_, "The SPIFFE ID of the X509-SVID");
    flags.Add("dns", dns_names_, "A DNS name of the X509-SVID. Can be used more than once");
    flags.Add("ttl", ttl_, "How long the X509-SVID lives (0: the upstream's default)");
    flags.Add("write", folder_, "A folder to write svid.pem, key.pem and bundle.pem to");
  }

  absl::Status Run(const CliContext& context) override {
    ASSIGN_OR_RETURN(const Minted minted, Mint(context.api));
    context.streams.err << CappedText("X509-SVID", minted.svid.expires_at(), ttl_,
                                      context.clock.Now());
    if (!folder_.empty()) {
      return Write(minted, context.streams.out);
    }
    Print(minted, context);
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<Minted> Mint(ApiClient& api) const {
    if (spiffe_id_.empty()) {
      return InvalidArgument("spiffeID must be specified");
    }
    ASSIGN_OR_RETURN(const SpiffeId id, SpiffeId::Parse(spiffe_id_));
    ASSIGN_OR_RETURN(const int32_t ttl, TtlSeconds(ttl_));
    Minted minted;
    ASSIGN_OR_RETURN(minted.key, crypto::PrivateKey::Generate(crypto::KeyType::kEcP256));
    svid_api::MintX509SVIDRequest request;
    request.set_ttl(ttl);
    ASSIGN_OR_RETURN(
        *request.mutable_csr(),
        crypto::MakeCertificateRequest(
            {.subject = {}, .uris = {id.ToString()}, .dns_names = dns_names_}, *minted.key));
    auto response = api.Call(&svid_api::SVID::Stub::MintX509SVID, request);
    if (!response.ok()) {
      return WithContext(response.status(), "unable to mint SVID");
    }
    minted.svid.Swap(response->mutable_svid());
    if (minted.svid.cert_chain().empty()) {
      return Internal("server response missing SVID chain");
    }
    auto bundle = api.Call(&bundle_api::Bundle::Stub::GetBundle, bundle_api::GetBundleRequest());
    if (!bundle.ok()) {
      return WithContext(bundle.status(), "unable to get bundle");
    }
    minted.bundle.Swap(&*bundle);
    if (minted.bundle.x509_authorities().empty()) {
      return Internal("server response missing X509 Authorities");
    }
    return minted;
  }

  static std::string ChainPem(const Minted& minted) {
    std::string pem;
    for (const std::string& der : minted.svid.cert_chain()) {
      pem += crypto::PemEncode("CERTIFICATE", der);
    }
    return pem;
  }

  static Secret KeyPem(const Minted& minted) {
    std::string pem = crypto::PemEncode("PRIVATE KEY", minted.key->pkcs8().Reveal());
    return Secret::TakeFrom(pem);
  }

  static std::string BundlePem(const Minted& minted) {
    std::string pem;
    for (const types::X509Certificate& authority : minted.bundle.x509_authorities()) {
      pem += crypto::PemEncode("CERTIFICATE", authority.asn1());
    }
    return pem;
  }

  static void Print(const Minted& minted, const CliContext& context) {
    std::ostream& out = context.streams.out;
    if (context.format == OutputFormat::kPretty) {
      out << "X509-SVID:\n" << ChainPem(minted) << "\n";
      out << "Private key:\n" << KeyPem(minted).Reveal() << "\n";
      out << "Root CAs:\n" << BundlePem(minted) << "\n";
      return;
    }
    nlohmann::ordered_json chain = nlohmann::ordered_json::array();
    for (const std::string& der : minted.svid.cert_chain()) {
      chain.push_back(crypto::Base64Encode(der));
    }
    nlohmann::ordered_json roots = nlohmann::ordered_json::array();
    for (const types::X509Certificate& authority : minted.bundle.x509_authorities()) {
      roots.push_back(crypto::Base64Encode(authority.asn1()));
    }
    out << nlohmann::ordered_json{{"x509_svid", chain},
                                  {"private_key",
                                   crypto::Base64Encode(minted.key->pkcs8().Reveal())},
                                  {"root_cas", roots}}
               .dump()
        << "\n";
  }

  absl::Status Write(const Minted& minted, std::ostream& out) const {
    const auto save = [this, &out](std::string_view what, std::string_view file,
                                   std::string_view bytes, mode_t mode) {
      const std::string path = fmt::format("{}/{}", folder_, file);
      absl::Status saved = WriteFileAtomically(path, bytes, mode);
      if (saved.ok()) {
        out << what << " written to " << path << "\n";
      }
      return saved;
    };
    if (auto saved = save("X509-SVID", "svid.pem", ChainPem(minted), 0644); !saved.ok()) {
      return WithContext(saved, "unable to write SVID");
    }
    if (auto saved = save("Private key", "key.pem", KeyPem(minted).Reveal(), 0600); !saved.ok()) {
      return WithContext(saved, "unable to write key");
    }
    return WithContext(save("Root CAs", "bundle.pem", BundlePem(minted), 0644),
                       "unable to write bundle");
  }

  std::string spiffe_id_, folder_;
  std::vector<std::string> dns_names_;
  absl::Duration ttl_;
};

}  // namespace

std::vector<CliEntry> X509Commands() {
  return {{"x509", "mint", "Mints an X509-SVID", &MakeCommand<MintX509>}};
}

}  // namespace assay
