// SPDX-License-Identifier: GPL-3.0-or-later
// jwt mint.
#include <ostream>

#include "authority/cli_client.h"
#include "authority/cli_command.h"
#include "authority/cli_output.h"
#include "base/files.h"
#include "spiffe/spiffe_id.h"
#include "spire/api/server/svid/v1/svid.grpc.pb.h"

namespace assay {
namespace {

namespace svid_api = spire::api::server::svid::v1;

class MintJwt final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override {
    flags.Add("spiffeID", spiffe_id_, "The SPIFFE ID of the JWT-SVID");
    flags.Add("audience", audience_, "Whom the JWT-SVID is for. Can be used more than once");
    flags.Add("ttl", ttl_, "How long the JWT-SVID lives (0: the upstream's default)");
    flags.Add("write", file_, "A file to write the JWT-SVID to, instead of standard output");
  }

  absl::Status Run(const CliContext& context) override {
    ASSIGN_OR_RETURN(svid_api::MintJWTSVIDResponse minted, Mint(context.api));
    context.streams.err << CappedText("JWT-SVID", minted.svid().expires_at(), ttl_,
                                      context.clock.Now());
    const absl::Status shown = Show(minted, context);
    std::string& token = *minted.mutable_svid()->mutable_token();
    Wipe(token.data(), token.size());
    return shown;
  }

 private:
  absl::StatusOr<svid_api::MintJWTSVIDResponse> Mint(ApiClient& api) const {
    if (spiffe_id_.empty()) {
      return InvalidArgument("spiffeID must be specified");
    }
    if (audience_.empty()) {
      return InvalidArgument("at least one audience must be specified");
    }
    svid_api::MintJWTSVIDRequest request;
    ASSIGN_OR_RETURN(*request.mutable_id(), ParseIdFlag(spiffe_id_));
    ASSIGN_OR_RETURN(const int32_t ttl, TtlSeconds(ttl_));
    request.set_ttl(ttl);
    request.mutable_audience()->Add(audience_.begin(), audience_.end());
    auto response = api.Call(&svid_api::SVID::Stub::MintJWTSVID, request);
    if (!response.ok()) {
      return WithContext(response.status(), "unable to mint SVID");
    }
    if (response->svid().token().empty()) {
      return Internal("server response missing token");
    }
    return response;
  }

  absl::Status Show(const svid_api::MintJWTSVIDResponse& minted, const CliContext& context) const {
    std::ostream& out = context.streams.out;
    if (!file_.empty()) {
      RETURN_IF_ERROR(WithContext(WriteFileAtomically(file_, minted.svid().token(), 0600),
                                  "unable to write token"));
      out << "JWT-SVID written to " << file_ << "\n";
    } else if (context.format == OutputFormat::kPretty) {
      out << minted.svid().token() << "\n";
    } else {
      out << ToJsonLine(minted);
    }
    return absl::OkStatus();
  }

  std::string spiffe_id_, file_;
  std::vector<std::string> audience_;
  absl::Duration ttl_;
};

}  // namespace

std::vector<CliEntry> JwtCommands() {
  return {{"jwt", "mint", "Mints a JWT-SVID", &MakeCommand<MintJwt>}};
}

}  // namespace assay
