// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/jwt_methods.h"

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "crypto/curve_tables.h"
#include "spiffe/workload.pb.h"
#include "workload-api/jwt_answers.h"
#include "workload-api/state_stream.h"
#include "workload-api/unary_call.h"

namespace assay {
namespace {

constexpr size_t kMostLogged = 256;  // Of a caller's text.

class FetchJwtBundles final : public StateStream {
 public:
  FetchJwtBundles(rpc::Call& call, const CallContext& context, bool allow_unauthenticated_verifiers)
      : StateStream(call, context),
        allow_unauthenticated_verifiers_(allow_unauthenticated_verifiers) {}

 protected:
  Answer Look(IdentitySet& identities) override {
    return {.refused = identities.empty() && !allow_unauthenticated_verifiers_,
            .frame = identities.jwt_bundles()};
  }
  std::string_view name() const override { return "FetchJWTBundles"; }

 private:
  const bool allow_unauthenticated_verifiers_;
};

class ValidateJwtSvid final : public UnaryCall {
 public:
  ValidateJwtSvid(rpc::Call& call, const CallContext& context, JwtValidator& validator,
                  const JwtMethods::Options& options)
      : UnaryCall(call, context), validator_(validator), options_(options) {}
  ~ValidateJwtSvid() override { Wipe(request_.mutable_svid()->data(), request_.svid().size()); }

 protected:
  bool Parse(std::string_view bytes) override {
    return request_.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  }
  absl::Status Check() override {
    if (request_.audience().empty()) {
      return InvalidArgument("audience must be specified");
    }
    return request_.svid().empty() ? InvalidArgument("svid must be specified") : absl::OkStatus();
  }
  void Look(IdentitySet& identities) override;
  std::string_view name() const override { return "ValidateJWTSVID"; }

 private:
  absl::Status Validate(IdentitySet& identities, ValidateJWTSVIDResponse& response);

  JwtValidator& validator_;
  const JwtMethods::Options& options_;
  ValidateJWTSVIDRequest request_;
};

// Whoever is attested may validate tokens of the own trust domain, and of those that its identities
// federate with.
absl::Status ValidateJwtSvid::Validate(IdentitySet& identities, ValidateJWTSVIDResponse& response) {
  const auto find = [&](const TrustDomain& trust_domain) -> std::span<const JwtAuthority> {
    const ServedState::Bundle* bundle = identities.FindBundle(trust_domain.name());
    return bundle == nullptr ? std::span<const JwtAuthority>() : bundle->jwt_authorities;
  };
  ASSIGN_OR_RETURN(const JwtSvid svid, validator_.Validate(request_.svid(), request_.audience(),
                                                           find, context().clock.Now()));
  return FillValidated(svid,
                       {.all = svid.id().trust_domain().name() == options_.trust_domain,
                        .others = options_.allowed_foreign_claims},
                       response);
}

void ValidateJwtSvid::Look(IdentitySet& identities) {
  ValidateJWTSVIDResponse response;
  const rpc::ProcessPeer& process = call().peer().process;
  if (absl::Status valid = Validate(identities, response); !valid.ok()) {
    if (context().refusals.MayWrite(process.uid)) {
      log::Warn("Failed to validate JWT", {{"audience", request_.audience().substr(0, kMostLogged)},
                                           {"error", valid},
                                           {"method", name()},
                                           {"pid", process.pid},
                                           {"service", "WorkloadAPI"},
                                           {"subsystem_name", "endpoints"}});
    }
    Fail(valid);
    return;
  }
  if (log::GetLevel() <= log::Level::kDebug) {
    log::Debug("Successfully validated JWT",
               {{"audience", request_.audience().substr(0, kMostLogged)},
                {"method", name()},
                {"pid", process.pid},
                {"service", "WorkloadAPI"},
                {"spiffe_id", response.spiffe_id()},
                {"subsystem_name", "endpoints"}});
  }
  Reply(response);
}

class FetchJwtSvid final : public UnaryCall, public JwtWaiter {
 public:
  FetchJwtSvid(rpc::Call& call, const CallContext& context, JwtTokens& tokens)
      : UnaryCall(call, context), tokens_(tokens) {}
  ~FetchJwtSvid() override { tokens_.Forget(*this); }

  void OnJwtSvid(const JwtSvidKey& key, const JwtToken& token) override {
    got_[key] = token.Clone();
    LookAgain();
  }
  void OnJwtFailure(std::string_view why) override;

 protected:
  bool Parse(std::string_view bytes) override {
    return request_.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  }
  absl::Status Check() override;
  void Look(IdentitySet& identities) override;
  void OnPatienceEnded() override { OnJwtFailure("the upstream did not answer in time"); }
  std::string_view name() const override { return "FetchJWTSVID"; }

 private:
  struct Granted {
    EntryIndex::View entry;
    JwtSvidKey key;
    const JwtToken* token;  // Null while it is being fetched.
  };

  absl::StatusOr<const JwtToken*> FindOrAsk(const JwtSvidKey& key, const EntryIndex::View& entry);
  void Answer(const std::vector<Granted>& granted);

  JwtTokens& tokens_;
  JWTSVIDRequest request_;
  std::vector<std::string> audience_;  // Normalized.
  // What is there while the others are being fetched: the cache may not have room for all.
  std::map<JwtSvidKey, JwtToken> got_;
  std::set<JwtSvidKey> own_asked_;
};

absl::Status FetchJwtSvid::Check() {
  ASSIGN_OR_RETURN(audience_,
                   NormalizedAudience({request_.audience().begin(), request_.audience().end()}));
  if (!request_.spiffe_id().empty()) {
    RETURN_IF_ERROR(
        WithContext(SpiffeId::Parse(request_.spiffe_id()).status(), "invalid requested SPIFFE ID"));
  }
  return absl::OkStatus();
}

absl::StatusOr<const JwtToken*> FetchJwtSvid::FindOrAsk(const JwtSvidKey& key,
                                                        const EntryIndex::View& entry) {
  const auto at = got_.find(key);
  if (at != got_.end() && at->second.spiffe_id == entry.spiffe_id &&
      at->second.expires_at > absl::ToUnixSeconds(context().clock.Now())) {
    return &at->second;
  }
  if (entry.jwt_svid_include_jti) {
    if (own_asked_.insert(key).second) {
      RETURN_IF_ERROR(tokens_.AskOwn(key, *this));
    }
    return nullptr;
  }
  const JwtToken* token = tokens_.Find(key, entry.spiffe_id);
  if (token == nullptr) {
    RETURN_IF_ERROR(tokens_.Ask(key, *this));
  }
  return token;
}

void FetchJwtSvid::Look(IdentitySet& identities) {
  std::vector<Granted> granted;
  bool complete = true;
  for (const EntryIndex::Slot slot : identities.identities()) {
    const EntryIndex::View entry = context().state.entries().Get(slot);
    if (!request_.spiffe_id().empty() && entry.spiffe_id != request_.spiffe_id()) {
      continue;
    }
    JwtSvidKey key{std::string(entry.id), audience_};
    const auto token = FindOrAsk(key, entry);
    if (!token.ok()) {
      OnJwtFailure(Message(token.status()));
      return;
    }
    complete = complete && *token != nullptr;
    granted.push_back({entry, std::move(key), *token});
  }
  if (granted.empty()) {
    Fail(RefuseForLackOfIdentity(context(), call(), name(), identities));
  } else if (complete) {
    Answer(granted);
  } else {
    for (const Granted& one : granted) {
      if (one.token != nullptr && !got_.contains(one.key)) {
        got_[one.key] = one.token->Clone();
      }
    }
  }
}

void FetchJwtSvid::Answer(const std::vector<Granted>& granted) {
  JWTSVIDResponse response;
  for (const auto& [entry, key, token] : granted) {
    JWTSVID& svid = *response.add_svids();
    svid.set_spiffe_id(std::string(entry.spiffe_id));
    svid.set_svid(std::string(token->text.Reveal()));
    svid.set_hint(std::string(entry.hint));
    if (log::GetLevel() <= log::Level::kDebug) {
      log::Debug("Fetched JWT SVID",
                 {{"method", name()},
                  {"pid", call().peer().process.pid},
                  {"registered", true},
                  {"service", "WorkloadAPI"},
                  {"spiffe_id", entry.spiffe_id},
                  {"subsystem_name", "endpoints"},
                  {"ttl", token->expires_at - absl::ToUnixSeconds(context().clock.Now())}});
    }
  }
  Reply(response);
  for (JWTSVID& svid : *response.mutable_svids()) {
    Wipe(svid.mutable_svid()->data(), svid.svid().size());
  }
}

void FetchJwtSvid::OnJwtFailure(std::string_view why) {
  if (ended()) {
    return;  // Another of its identities has failed it.
  }
  const rpc::ProcessPeer& process = call().peer().process;
  if (context().refusals.MayWrite(process.uid)) {
    log::Error("Could not fetch JWT-SVID", {{"error", why},
                                            {"method", name()},
                                            {"pid", process.pid},
                                            {"registered", true},
                                            {"service", "WorkloadAPI"},
                                            {"subsystem_name", "endpoints"}});
  }
  Fail(Unavailable("could not fetch JWT-SVID: {}", why));
}

}  // namespace

void JwtMethods::AddTo(rpc::Registry& registry, const CallContext& context,
                       const bool& allow_unauthenticated_verifiers) {
  const std::string service = "/SpiffeWorkloadAPI/";
  registry.Add(service + "FetchJWTBundles",
               [context, &allow = allow_unauthenticated_verifiers](rpc::Call& call) {
                 return std::make_unique<FetchJwtBundles>(call, context, allow);
               });
  registry.Add(service + "FetchJWTSVID", [this, context](rpc::Call& call) {
    return std::make_unique<FetchJwtSvid>(call, context, tokens_);
  });
  registry.Add(service + "ValidateJWTSVID", [this, context](rpc::Call& call) {
    TidyLater();
    return std::make_unique<ValidateJwtSvid>(call, context, validator_, options_);
  });
}

void JwtMethods::TidyLater() {
  if (tidy_timer_ == 0) {
    tidy_timer_ = loop_.After(kTidyDelay, [this] {
      tidy_timer_ = 0;
      crypto::FreeCurveTables();
    });
  }
}

}  // namespace assay
