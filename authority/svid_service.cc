// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/svid_service.h"

#include <algorithm>

#include "authority/agent_svid.h"
#include "authority/entry_sync.h"
#include "authority/id_convert.h"
#include "authority/jwt_issuer.h"
#include "authority/method.h"
#include "authority/x509_issuer.h"
#include "base/log.h"
#include "spire/api/server/svid/v1/svid.pb.h"

namespace assay {

namespace svid = spire::api::server::svid::v1;
namespace types = spire::api::types;

namespace {

using StatusCode = absl::StatusCode;

// What the signing thread needs; nothing of it is the loop's.
struct X509Signing {
  SigningAuthorityPtr authority;
  absl::Duration default_ttl;
  absl::Time now;

  explicit X509Signing(const State& state)
      : authority(state.ca.Active(SigningAuthority::Kind::kX509)),
        default_ttl(state.options.default_x509_svid_ttl),
        now(state.clock.Now()) {}
  absl::Duration TtlOf(int32_t seconds) const {
    return seconds > 0 ? absl::Seconds(seconds) : default_ttl;
  }
};

struct BatchItem {
  EntryPtr entry;  // Null when it was refused.
  absl::Status refusal;
  std::string csr;
};

absl::StatusOr<crypto::Certificate> SignFor(const X509Signing& signing, const BatchItem& item) {
  RETURN_IF_ERROR(item.refusal);
  absl::StatusOr<crypto::CertificateRequest> request = crypto::CertificateRequest::Parse(item.csr);
  if (!request.ok()) {
    return ApiError(StatusCode::kInvalidArgument, "malformed CSR", request.status());
  }
  if (!request->self_signature.ok()) {
    return ApiError(StatusCode::kInvalidArgument, "invalid CSR signature", request->self_signature);
  }
  absl::StatusOr<crypto::Certificate> leaf =
      IssueX509Svid(*signing.authority,
                    {.id = item.entry->spiffe_id,
                     .key = request->public_key,
                     .ttl = signing.TtlOf(item.entry->x509_svid_ttl),
                     .dns_names = item.entry->dns_names},
                    signing.now);
  if (!leaf.ok()) {
    return ApiError(StatusCode::kInternal, "failed to sign X509-SVID", leaf.status());
  }
  return leaf;
}

BatchItem MakeItem(const std::vector<EntryPtr>& authorized, const svid::NewX509SVIDParams& params) {
  BatchItem item{.entry = nullptr, .refusal = absl::OkStatus(), .csr = params.csr()};
  if (params.entry_id().empty()) {
    item.refusal = InvalidArgument("missing entry ID");
  } else if (params.csr().empty()) {
    item.refusal = InvalidArgument("missing CSR");
  } else if (item.entry = FindIn(authorized, params.entry_id()); item.entry == nullptr) {
    item.refusal = NotFound("entry not found or not authorized");
  }
  return item;
}

void BatchNew(State& state, const svid::BatchNewX509SVIDRequest& request,
              const rpc::Responder& responder) {
  if (request.params().empty()) {
    responder.Fail(InvalidArgument("missing parameters"));
    return;
  }
  const AuthorizedEntries::View authorized = AuthorizedFor(state, responder.call()->peer());
  std::vector<BatchItem> items;
  for (const svid::NewX509SVIDParams& params : request.params()) {
    items.push_back(MakeItem(*authorized, params));
  }
  state.signing.Run(
      state.loop,
      [items = std::move(items), signing = X509Signing(state)] {
        svid::BatchNewX509SVIDResponse response;
        for (const BatchItem& item : items) {
          svid::BatchNewX509SVIDResponse::Result* result = response.add_results();
          const absl::StatusOr<crypto::Certificate> leaf = SignFor(signing, item);
          ToProto(leaf.status(), result->mutable_status());
          if (leaf.ok()) {
            ToProto(item.entry->spiffe_id, *leaf, result->mutable_svid());
          }
        }
        return response;
      },
      [responder](const svid::BatchNewX509SVIDResponse& response) { responder.Reply(response); });
}

// As many signatures as a request asks. One without any, or malformed, is refused by its handler.
int SignaturesOf(std::string_view bytes) {
  svid::BatchNewX509SVIDRequest request;
  return request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))
             ? request.params_size()
             : 0;
}

// Whether a wildcard among the names covers another of them.
bool HasWildcardOverlap(const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& wildcard) {
    return wildcard.starts_with("*.") &&
           std::any_of(names.begin(), names.end(), [&](const std::string& name) {
             const size_t dot = name.find('.');
             return name != wildcard && dot != std::string::npos &&
                    name.substr(dot) == wildcard.substr(1);
           });
  });
}

absl::StatusOr<X509SvidRequest> ParseMinting(const TrustDomain& trust_domain,
                                             const svid::MintX509SVIDRequest& sent) {
  absl::StatusOr<crypto::CertificateRequest> csr = crypto::CertificateRequest::Parse(sent.csr());
  if (!csr.ok()) {
    return ApiError(StatusCode::kInvalidArgument, "malformed CSR", csr.status());
  }
  if (!csr->self_signature.ok()) {
    return ApiError(StatusCode::kInvalidArgument, "failed to verify CSR signature",
                    csr->self_signature);
  }
  if (csr->uris.empty()) {
    return InvalidArgument("CSR URI SAN is required");
  }
  if (csr->uris.size() > 1) {
    return InvalidArgument("only one URI SAN is expected");
  }
  absl::StatusOr<SpiffeId> id = SpiffeId::Parse(csr->uris.front());
  const absl::Status valid = id.ok() ? CheckWorkloadId(trust_domain, *id) : id.status();
  if (!valid.ok()) {
    return ApiError(StatusCode::kInvalidArgument, "CSR URI SAN is invalid", valid);
  }
  for (const std::string& name : csr->dns_names) {
    if (const absl::Status name_valid = ValidateDnsName(name); !name_valid.ok()) {
      return ApiError(StatusCode::kInvalidArgument, "CSR DNS name is invalid", name_valid);
    }
  }
  if (HasWildcardOverlap(csr->dns_names)) {
    return InvalidArgument(
        "CSR DNS name contains a wildcard that covers another non-wildcard name");
  }
  X509SvidRequest minting{.id = *std::move(id),
                          .key = csr->public_key,
                          .ttl = absl::Seconds(sent.ttl()),
                          .dns_names = csr->dns_names};
  if (!csr->subject.empty()) {
    minting.subject = csr->subject;
  }
  return minting;
}

absl::StatusOr<svid::MintX509SVIDResponse> Mint(const X509Signing& signing,
                                                const TrustDomain& trust_domain,
                                                const svid::MintX509SVIDRequest& request) {
  ASSIGN_OR_RETURN(X509SvidRequest minting, ParseMinting(trust_domain, request));
  minting.ttl = signing.TtlOf(request.ttl());
  const auto leaf = IssueX509Svid(*signing.authority, minting, signing.now);
  if (!leaf.ok()) {
    return ApiError(StatusCode::kInternal, "failed to sign X509-SVID", leaf.status());
  }
  svid::MintX509SVIDResponse response;
  ToProto(minting.id, *leaf, response.mutable_svid());
  return response;
}

void MintX509(State& state, const svid::MintX509SVIDRequest& request,
              const rpc::Responder& responder) {
  if (request.csr().empty()) {
    responder.Fail(InvalidArgument("missing CSR"));
    return;
  }
  state.signing.Run(
      state.loop,
      [signing = X509Signing(state), trust_domain = state.options.trust_domain, request] {
        return Mint(signing, trust_domain, request);
      },
      [responder](const absl::StatusOr<svid::MintX509SVIDResponse>& response) {
        response.ok() ? responder.Reply(*response) : responder.Fail(response.status());
      });
}

// Signs off the loop and answers with Response.svid.
template <typename Response>
void SignJwt(State& state, JwtSvidRequest request, const rpc::Responder& responder) {
  request.issuer = state.options.jwt_issuer;
  if (request.ttl <= absl::ZeroDuration()) {
    request.ttl = state.options.default_jwt_svid_ttl;
  }
  state.signing.Run(
      state.loop,
      [authority = state.ca.Active(SigningAuthority::Kind::kJwt), request,
       now = state.clock.Now()] { return IssueJwtSvid(*authority, request, now); },
      [id = request.id, responder](const absl::StatusOr<IssuedJwtSvid>& issued) {
        if (!issued.ok()) {
          responder.Fail(
              issued.status().code() == StatusCode::kInvalidArgument
                  ? issued.status()
                  : ApiError(StatusCode::kInternal, "failed to sign JWT-SVID", issued.status()));
          return;
        }
        Response response;
        types::JWTSVID* out = response.mutable_svid();
        out->set_token(std::string(issued->token.Reveal()));
        ToProto(id, out->mutable_id());
        out->set_issued_at(issued->issued_at);
        out->set_expires_at(issued->expires_at);
        responder.Reply(response);
        Wipe(out->mutable_token()->data(), out->token().size());
      });
}

// Whether the call was refused for that. The reference's words, which its users look for.
bool RefuseIfDisabled(const State& state, const rpc::Responder& responder) {
  if (state.options.disable_jwt_svids) {
    responder.Fail(MakeStatus(StatusCode::kUnimplemented, "JWT functionality is disabled"));
  }
  return state.options.disable_jwt_svids;
}

void NewJwt(State& state, const svid::NewJWTSVIDRequest& request, const rpc::Responder& responder) {
  if (RefuseIfDisabled(state, responder)) {
    return;
  }
  const EntryPtr entry =
      FindIn(*AuthorizedFor(state, responder.call()->peer()), request.entry_id());
  if (entry == nullptr) {
    responder.Fail(NotFound("entry not found or not authorized"));
    return;
  }
  SignJwt<svid::NewJWTSVIDResponse>(
      state,
      {.id = entry->spiffe_id,
       .audience = {request.audience().begin(), request.audience().end()},
       .ttl = absl::Seconds(entry->jwt_svid_ttl),
       .issuer = "",
       .include_jti = entry->jwt_svid_include_jti},
      responder);
}

void MintJwt(State& state, const svid::MintJWTSVIDRequest& request,
             const rpc::Responder& responder) {
  if (RefuseIfDisabled(state, responder)) {
    return;
  }
  const absl::StatusOr<SpiffeId> id = ParseWorkloadId(state.options.trust_domain, request.id());
  if (!id.ok()) {
    responder.Fail(ApiError(StatusCode::kInvalidArgument, "invalid SPIFFE ID", id.status()));
    return;
  }
  SignJwt<svid::MintJWTSVIDResponse>(
      state,
      {.id = *id,
       .audience = {request.audience().begin(), request.audience().end()},
       .ttl = absl::Seconds(request.ttl()),
       .issuer = ""},
      responder);
}

}  // namespace

void AddSvidMethods(State& state, Gate& gate, rpc::Registry& registry) {
  const auto add = [&](std::string_view name, const Rule& rule, rpc::MakeHandler make) {
    gate.Add(registry, fmt::format("/spire.api.server.svid.v1.SVID/{}", name), rule,
             std::move(make));
  };
  const bool limited = state.options.ratelimit_signing;
  add("BatchNewX509SVID",
      {.access = Access::kAgent,
       .max_request_bytes = 4 << 20,
       .rate = {.limit = limited ? &state.csr_limit : nullptr,
                .rejection = "rejecting request due to certificate signing rate limiting",
                .cost = SignaturesOf}},
      Method<svid::BatchNewX509SVIDRequest>(state, BatchNew));
  add("NewJWTSVID",
      {.access = Access::kAgent,
       .rate = {.limit = limited ? &state.jwt_limit : nullptr,
                .rejection = "rejecting request due to JWT signing request rate limiting"}},
      Method<svid::NewJWTSVIDRequest>(state, NewJwt));
  add("MintX509SVID", OperatorsOnly(), Method<svid::MintX509SVIDRequest>(state, MintX509));
  add("MintJWTSVID", OperatorsOnly(), Method<svid::MintJWTSVIDRequest>(state, MintJwt));
}

}  // namespace assay
