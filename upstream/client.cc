// SPDX-License-Identifier: GPL-3.0-or-later
// The calls of the upstream, each over the link's connection.
#include <google/protobuf/message_lite.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <utility>

#include "base/log.h"
#include "base/mutex.h"
#include "crypto/issue.h"
#include "spire/api/server/agent/v1/agent.grpc.pb.h"
#include "spire/api/server/bundle/v1/bundle.grpc.pb.h"
#include "spire/api/server/svid/v1/svid.grpc.pb.h"
#include "upstream/answers.h"
#include "upstream/bidi_call.h"
#include "upstream/call_status.h"
#include "upstream/entry_sync.h"
#include "upstream/link.h"
#include "upstream/upstream.h"

namespace assay {
namespace {

namespace agent = spire::api::server::agent::v1;
namespace entry = spire::api::server::entry::v1;
namespace bundle = spire::api::server::bundle::v1;
namespace svid = spire::api::server::svid::v1;
namespace types = spire::api::types;

constexpr int kMaxChallenges = 16;
constexpr size_t kMaxSvidRequests = 500;
// An upstream that did not know a call may have been replaced by a newer one by then.
constexpr absl::Duration kLacksSyncFor = absl::Minutes(10);

// What became of one try of a call.
struct Outcome {
  absl::Status status;
  bool answered = false;  // Something of an answer came, so it must not be tried again.
};
using Try = std::function<Outcome(const Link::Connection&, grpc::ClientContext&)>;

absl::Status StatusOfCall(const grpc::Status& status) {
  return CallStatus(status.error_code(), status.error_message(), status.error_details());
}

// A unary call by its stub's method.
template <typename Stub, typename Request, typename Response>
Try UnaryCall(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
              const Request& request, Response& response) {
  return [method, &request, &response](const Link::Connection& connection,
                                       grpc::ClientContext& context) {
    Stub stub(connection.channel);
    return Outcome{.status = StatusOfCall((stub.*method)(&context, request, &response))};
  };
}

absl::StatusOr<std::string> AgentRequest(const crypto::Signer& key) {
  return crypto::MakeCertificateRequest(
      {.subject = {{"C", "US"}, {"O", "SPIRE"}}, .uris = {}, .dns_names = {}}, key);
}

class Client final : public Upstream {
 public:
  Client(const UpstreamOptions& options, const Clock& clock)
      : options_(options),
        clock_(clock),
        trust_domain_(options.trust_domain),
        link_(options, clock) {}

  absl::StatusOr<TrustBundle> FetchBundle() override;
  absl::StatusOr<TrustBundle> FetchFederatedBundle(const TrustDomain& trust_domain) override;
  absl::StatusOr<std::optional<uint64_t>> FetchSequenceNumber(
      const TrustDomain& trust_domain) override;
  absl::StatusOr<AttestationResult> Attest(NodeAttestor& attestor, const crypto::Signer& key,
                                           absl::Duration patience) override;
  absl::StatusOr<AttestationResult> Renew(const crypto::Signer& key) override;
  absl::Status Sync(EntrySink& sink) override;
  absl::StatusOr<std::vector<SvidResult>> SignX509Svids(
      const std::vector<SvidRequest>& requests) override;
  absl::StatusOr<MintedJwtSvid> MintJwtSvid(const std::string& entry_id,
                                            const std::vector<std::string>& audience) override;
  absl::Status PostStatus(std::string_view version) override;
  void SetBundle(const TrustBundle& bundle) override { link_.SetBundle(bundle); }
  void SetSvid(std::optional<X509Svid> svid) override { link_.SetSvid(std::move(svid)); }

 private:
  using AttestCall = BidiCall<agent::AttestAgentRequest, agent::AttestAgentResponse>;

  // The host that did not know SyncAuthorizedEntries, and when, since boot.
  struct LacksSync {
    size_t host;
    absl::Duration since;
  };

  absl::Duration Deadline() const { return clock_.SinceBoot() + options_.call_deadline; }
  absl::Status Run(const Try& call) { return Run(call, Deadline()); }
  absl::Status Run(const Try& call, absl::Duration deadline);
  bool CanSync(size_t host) const;
  Outcome SyncBy(const Link::Connection& connection, grpc::ClientContext& context, EntrySink& sink);
  absl::Status Converse(AttestCall& call, NodeAttestor& attestor, const crypto::Signer& key,
                        agent::AttestAgentResponse& response);

  const UpstreamOptions options_;
  const Clock& clock_;
  const TrustDomain trust_domain_;
  Link link_;
  mutable Mutex mutex_;
  std::optional<LacksSync> lacks_sync_ ABSL_GUARDED_BY(mutex_);
  ToldEntries told_entries_;
};

// A connection may have died since it was made, or been told to go away; the call that finds out is
// made again, on a new one. Where there are several hosts each is tried. A host that lives and
// says that it is unavailable has answered: to ask it again at once would make that worse. The
// deadline, since boot, is that of all of it.
absl::Status Client::Run(const Try& call, absl::Duration deadline) {
  std::set<size_t> refused;  // The hosts that live and said that they are unavailable,
  absl::Status refusal;      // and what the last of them said.
  for (size_t tries = 1;; ++tries) {
    const bool enough = tries > link_.hosts() + 1;
    const absl::StatusOr<Link::Lease> got = link_.Get(deadline);
    if (!got.ok()) {
      return refused.empty() ? got.status() : refusal;
    }
    const Link::Lease& lease = *got;
    if (refused.contains(lease.connection->host)) {
      // One that another call made does not say that the other hosts are down.
      if (lease.fresh || enough) {
        return refusal;
      }
      link_.Drop(lease.connection, /*host_failed=*/true);
      continue;
    }
    const absl::Duration left = deadline - clock_.SinceBoot();
    if (left <= absl::ZeroDuration()) {
      // The connection is good, and the next call's.
      return Unavailable("connecting to the upstream took the {} that a call has",
                         absl::FormatDuration(options_.call_deadline));
    }
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(left));
    const Outcome outcome = call(*lease.connection, context);
    absl::Status status = link_.Explain(lease.connection, outcome.status);
    const bool has_others = link_.hosts() > 1;
    const bool unavailable = status.code() == absl::StatusCode::kUnavailable;
    const bool lost = unavailable && !lease.connection->tunnel->takes_calls();
    // One that was left little time, for others before it took theirs, is not to blame.
    const bool silent =
        status.code() == absl::StatusCode::kDeadlineExceeded && left >= options_.call_deadline / 2;
    if (unavailable || silent) {
      // Another connection may lead to another server, by the same name or by the next.
      link_.Drop(lease.connection, /*host_failed=*/!lost || lease.fresh);
    }
    // A new connection that fails with a reason would do so again.
    const bool can_repeat =
        has_others || (lost && (!lease.fresh || lease.connection->tunnel->failure().ok()));
    if (unavailable && !lost) {
      refused.insert(lease.connection->host);
      refusal = status;
    }
    if (!unavailable || !can_repeat || outcome.answered || refused.size() >= link_.hosts() ||
        enough) {
      return status;
    }
  }
}

absl::StatusOr<TrustBundle> Client::FetchBundle() {
  types::Bundle response;
  RETURN_IF_ERROR(
      Run(UnaryCall(&bundle::Bundle::Stub::GetBundle, bundle::GetBundleRequest(), response)));
  ASSIGN_OR_RETURN(TrustBundle fetched, BundleOf(response, trust_domain_));
  if (fetched.x509_authorities.empty()) {
    return InvalidArgument("bundle of {}: has no X.509 authority, so nothing could be verified",
                           trust_domain_.name());
  }
  return fetched;
}

absl::StatusOr<TrustBundle> Client::FetchFederatedBundle(const TrustDomain& trust_domain) {
  bundle::GetFederatedBundleRequest request;
  request.set_trust_domain(trust_domain.name());
  types::Bundle response;
  RETURN_IF_ERROR(Run(UnaryCall(&bundle::Bundle::Stub::GetFederatedBundle, request, response)));
  return BundleOf(response, trust_domain);
}

absl::StatusOr<std::optional<uint64_t>> Client::FetchSequenceNumber(
    const TrustDomain& trust_domain) {
  types::BundleMask mask;
  mask.set_sequence_number(true);
  types::Bundle response;
  if (trust_domain == trust_domain_) {
    bundle::GetBundleRequest request;
    *request.mutable_output_mask() = mask;
    RETURN_IF_ERROR(Run(UnaryCall(&bundle::Bundle::Stub::GetBundle, request, response)));
  } else {
    bundle::GetFederatedBundleRequest request;
    request.set_trust_domain(trust_domain.name());
    *request.mutable_output_mask() = mask;
    RETURN_IF_ERROR(Run(UnaryCall(&bundle::Bundle::Stub::GetFederatedBundle, request, response)));
  }
  return NumberOf(response);
}

absl::StatusOr<AttestationResult> Client::Attest(NodeAttestor& attestor, const crypto::Signer& key,
                                                 absl::Duration patience) {
  ASSIGN_OR_RETURN(const Link::SharedConnection connection, link_.ConnectAnonymously());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(patience));
  agent::Agent::Stub stub(connection->channel);
  AttestCall call(context, stub.AttestAgent(&context));
  agent::AttestAgentResponse response;
  const absl::Status finished = call.Finish(Converse(call, attestor, key, response));
  RETURN_IF_ERROR(link_.Explain(connection, finished));
  ASSIGN_OR_RETURN(AttestationResult result,
                   AgentSvidOf(response.result().svid(), key, trust_domain_));
  result.reattestable = response.result().reattestable();
  return result;
}

// Until response holds the result. The payload may be a secret and is wiped here; gRPC's copy is on
// its way.
absl::Status Client::Converse(AttestCall& call, NodeAttestor& attestor, const crypto::Signer& key,
                              agent::AttestAgentResponse& response) {
  ASSIGN_OR_RETURN(const std::unique_ptr<NodeAttestation> attestation, attestor.Begin());
  ASSIGN_OR_RETURN(const Secret payload, attestation->Payload());
  ASSIGN_OR_RETURN(const std::string csr, AgentRequest(key));
  agent::AttestAgentRequest request;
  types::AttestationData& data = *request.mutable_params()->mutable_data();
  data.set_type(std::string(attestor.type()));
  data.set_payload(std::string(payload.Reveal()));
  request.mutable_params()->mutable_params()->set_csr(csr);
  absl::Status written = call.Write(request);
  Wipe(data.mutable_payload()->data(), data.payload().size());
  for (int challenges = 0; written.ok(); ++challenges) {
    RETURN_IF_ERROR(call.Read(response));
    if (response.has_result()) {
      return absl::OkStatus();
    }
    if (!response.has_challenge() || challenges == kMaxChallenges) {
      return Internal("attesting by {}: the upstream sent neither a result nor another challenge",
                      attestor.type());
    }
    ASSIGN_OR_RETURN(std::string answer, attestation->Answer(response.challenge()));
    request.set_challenge_response(std::move(answer));
    written = call.Write(request);
  }
  return written;
}

absl::StatusOr<AttestationResult> Client::Renew(const crypto::Signer& key) {
  agent::RenewAgentRequest request;
  ASSIGN_OR_RETURN(*request.mutable_params()->mutable_csr(), AgentRequest(key));
  agent::RenewAgentResponse response;
  RETURN_IF_ERROR(Run(UnaryCall(&agent::Agent::Stub::RenewAgent, request, response)));
  ASSIGN_OR_RETURN(AttestationResult result, AgentSvidOf(response.svid(), key, trust_domain_));
  if (const auto own = link_.own_id(); own.has_value() && *own != result.id) {
    return Internal("the upstream's answer: renewed svid is of {}, wanted {}", result.id.ToString(),
                    own->ToString());
  }
  return result;
}

bool Client::CanSync(size_t host) const {
  MutexLock lock(mutex_);
  return options_.use_sync_authorized_entries &&
         (!lacks_sync_.has_value() || lacks_sync_->host != host ||
          clock_.SinceBoot() - lacks_sync_->since >= kLacksSyncFor);
}

Outcome Client::SyncBy(const Link::Connection& connection, grpc::ClientContext& context,
                       EntrySink& sink) {
  EntrySync sync(trust_domain_, sink, told_entries_, options_.max_sync_items);
  absl::Status ended = sync.Run(connection.channel, context);
  if (absl::IsUnimplemented(ended)) {
    MutexLock lock(mutex_);
    if (!lacks_sync_.has_value() || lacks_sync_->host != connection.host) {
      log::Info(
          "The upstream does not know SyncAuthorizedEntries: all entries are fetched each time");
    }
    lacks_sync_ = {.host = connection.host, .since = clock_.SinceBoot()};
  }
  return {.status = std::move(ended), .answered = sync.answered()};
}

absl::Status Client::Sync(EntrySink& sink) {
  const entry::GetAuthorizedEntriesRequest request = AllEntriesRequest();
  entry::GetAuthorizedEntriesResponse response;
  const Try list = UnaryCall(&entry::Entry::Stub::GetAuthorizedEntries, request, response);
  bool listed = false;
  const auto sync_or_list = [&](const Link::Connection& connection, grpc::ClientContext& context) {
    listed = !CanSync(connection.host);
    return listed ? list(connection, context) : SyncBy(connection, context, sink);
  };
  const absl::Duration deadline = Deadline();
  absl::Status status = Run(sync_or_list, deadline);
  if (absl::IsUnimplemented(status) && !listed) {
    status = Run(sync_or_list, deadline);
  }
  if (!status.ok() || !listed) {
    return status;
  }
  EntryIntake intake(trust_domain_, sink, told_entries_, options_.max_sync_items);
  return TakeAllEntries(response, intake);
}

absl::StatusOr<std::vector<SvidResult>> Client::SignX509Svids(
    const std::vector<SvidRequest>& requests) {
  if (requests.empty() || requests.size() > kMaxSvidRequests) {
    return InvalidArgument("{} svids asked for at a call, wanted 1 to {}", requests.size(),
                           kMaxSvidRequests);
  }
  svid::BatchNewX509SVIDRequest batch;
  for (const SvidRequest& request : requests) {
    svid::NewX509SVIDParams& params = *batch.add_params();
    params.set_entry_id(request.entry_id);
    params.set_csr(request.csr);
  }
  svid::BatchNewX509SVIDResponse response;
  RETURN_IF_ERROR(Run(UnaryCall(&svid::SVID::Stub::BatchNewX509SVID, batch, response)));
  if (static_cast<size_t>(response.results_size()) != requests.size()) {
    return Internal("the upstream answered {} svids, {} were asked for", response.results_size(),
                    requests.size());
  }
  std::vector<SvidResult> results;
  results.reserve(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    results.push_back(SvidOf(requests[i], response.results(static_cast<int>(i))));
  }
  return results;
}

absl::StatusOr<MintedJwtSvid> Client::MintJwtSvid(const std::string& entry_id,
                                                  const std::vector<std::string>& audience) {
  svid::NewJWTSVIDRequest request;
  request.set_entry_id(entry_id);
  request.mutable_audience()->Add(audience.begin(), audience.end());
  svid::NewJWTSVIDResponse response;
  RETURN_IF_ERROR(Run(UnaryCall(&svid::SVID::Stub::NewJWTSVID, request, response)));
  types::JWTSVID& answer = *response.mutable_svid();
  auto id = IdOf(answer.id());
  if (!id.ok()) {
    return WithContext(id.status(), "jwt-svid of the upstream");
  }
  if (id->trust_domain() != trust_domain_ || answer.token().empty() || answer.issued_at() <= 0 ||
      answer.expires_at() < answer.issued_at()) {
    return InvalidArgument(
        "jwt-svid of the upstream for {}: no token, or a wrong time or trust domain",
        id->ToString());
  }
  return MintedJwtSvid{.id = *std::move(id),
                       .token = Secret::TakeFrom(*answer.mutable_token()),
                       .issued_at = absl::FromUnixSeconds(answer.issued_at()),
                       .expires_at = absl::FromUnixSeconds(answer.expires_at())};
}

absl::Status Client::PostStatus(std::string_view version) {
  agent::PostStatusRequest request;
  request.set_agent_version(std::string(version));
  agent::PostStatusResponse response;
  return Run(UnaryCall(&agent::Agent::Stub::PostStatus, request, response));
}

}  // namespace

std::unique_ptr<Upstream> MakeUpstream(const UpstreamOptions& options, const Clock& clock) {
  return std::make_unique<Client>(options, clock);
}

}  // namespace assay
