// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/bundle_changes.h"

#include <algorithm>
#include <optional>

#include "authority/bundle_convert.h"
#include "authority/id_convert.h"
#include "spire/api/server/bundle/v1/bundle.pb.h"

namespace assay {

namespace bundle = spire::api::server::bundle::v1;
namespace types = spire::api::types;

namespace {

// One batch between its plan and its answer.
template <typename Response>
struct Batch {
  Response response;
  std::map<TrustDomain, std::optional<TrustBundle>> bundles;  // As they will be; none: deleted.
  std::map<std::string, std::optional<RegistrationEntry>> entries;

  // The bundle as the batch has it so far; null when there is none.
  const TrustBundle* Find(const State& state, const TrustDomain& trust_domain) const {
    if (const auto changed = bundles.find(trust_domain); changed != bundles.end()) {
      return changed->second.has_value() ? &*changed->second : nullptr;
    }
    return state.bundles.Find(trust_domain);
  }
};

template <typename Response>
ChangeQueue::Write WriteOf(std::shared_ptr<const Batch<Response>> batch) {
  if (batch->bundles.empty() && batch->entries.empty()) {
    return nullptr;
  }
  return [batch](Store& store) {
    for (const auto& [trust_domain, changed] : batch->bundles) {
      RETURN_IF_ERROR(changed.has_value() ? store.Put(*changed) : store.EraseBundle(trust_domain));
    }
    for (const auto& [id, changed] : batch->entries) {
      RETURN_IF_ERROR(changed.has_value() ? store.Put(*changed) : store.EraseEntry(id));
    }
    return absl::OkStatus();
  };
}

template <typename Response>
void TakeOver(State& state, const Batch<Response>& batch) {
  for (const auto& [trust_domain, changed] : batch.bundles) {
    changed.has_value() ? state.bundles.Put(*changed) : state.bundles.Erase(trust_domain);
  }
  for (const auto& [id, changed] : batch.entries) {
    changed.has_value() ? state.entries.Put(*changed) : state.entries.Erase(id);
  }
}

template <typename Response, typename PlanAll>
void Change(State& state, PlanAll plan_all, const rpc::Responder& responder) {
  const auto batch = std::make_shared<Batch<Response>>();
  state.changes.Add({.plan = [batch, plan_all]() -> absl::StatusOr<ChangeQueue::Write> {
                       RETURN_IF_ERROR(plan_all(*batch));
                       return WriteOf<Response>(batch);
                     },
                     .done =
                         [&state, batch, responder](const absl::Status& outcome) {
                           if (!outcome.ok()) {
                             responder.Fail(outcome);
                             return;
                           }
                           TakeOver(state, *batch);
                           responder.Reply(batch->response);
                         }});
}

// A federated bundle as sent; the verb is for the error about the own one.
absl::StatusOr<TrustBundle> ParseFederated(const State& state, const types::Bundle& sent,
                                           std::string_view verb) {
  const absl::StatusOr<TrustDomain> trust_domain = ParseTrustDomain(sent.trust_domain());
  if (!trust_domain.ok()) {
    return ApiError(absl::StatusCode::kInvalidArgument, "trust domain argument is not valid",
                    trust_domain.status());
  }
  if (*trust_domain == state.options.trust_domain) {
    return InvalidArgument("{} a federated bundle for the server's own trust domain is not allowed",
                           verb);
  }
  types::Bundle named = sent;
  named.set_trust_domain(trust_domain->name());
  absl::StatusOr<TrustBundle> parsed = ParseBundle(named);
  if (!parsed.ok()) {
    return ApiError(absl::StatusCode::kInvalidArgument, "failed to convert bundle",
                    parsed.status());
  }
  return parsed;
}

// Handles each bundle of a request: one says what it becomes, or why it does not.
template <typename Response, typename Request, typename One>
void ChangeEach(State& state, const Request& request, One one, const rpc::Responder& responder) {
  Change<Response>(
      state,
      [request, one](Batch<Response>& batch) {
        const auto& mask = request.has_output_mask() ? request.output_mask() : AllOfBundle();
        for (const types::Bundle& sent : request.bundle()) {
          auto* result = batch.response.add_results();
          const absl::StatusOr<TrustBundle> changed = one(batch, sent);
          ToProto(changed.status(), result->mutable_status());
          if (changed.ok()) {
            ToProto(*changed, mask, result->mutable_bundle());
            batch.bundles.insert_or_assign(changed->trust_domain, *changed);
          }
        }
        return absl::OkStatus();
      },
      responder);
}

using DeleteResponse = bundle::BatchDeleteFederatedBundleResponse;
using DeleteRequest = bundle::BatchDeleteFederatedBundleRequest;

// Deals with the entries that federate with the trust domain, as the mode says.
absl::Status Release(const State& state, const TrustDomain& trust_domain, DeleteRequest::Mode mode,
                     Batch<DeleteResponse>& batch) {
  for (const auto& [id, current] : state.entries.all()) {
    const auto pending = batch.entries.find(current->id);
    if (pending != batch.entries.end() && !pending->second.has_value()) {
      continue;
    }
    RegistrationEntry entry = pending != batch.entries.end() ? *pending->second : *current;
    if (std::erase(entry.federates_with, trust_domain) == 0) {
      continue;
    }
    switch (mode) {
      case DeleteRequest::DELETE:
        batch.entries.insert_or_assign(entry.id, std::nullopt);
        break;
      case DeleteRequest::DISSOCIATE:
        ++entry.revision_number;
        batch.entries.insert_or_assign(entry.id, std::move(entry));
        break;
      default:
        return FailedPrecondition(
            "failed to delete federated bundle: cannot delete bundle; federated with registration "
            "entries");
    }
  }
  return absl::OkStatus();
}

absl::Status DeleteOne(const State& state, const std::string& name, DeleteRequest::Mode mode,
                       Batch<DeleteResponse>& batch) {
  const absl::StatusOr<TrustDomain> trust_domain = ParseTrustDomain(name);
  if (!trust_domain.ok()) {
    return ApiError(absl::StatusCode::kInvalidArgument, "trust domain argument is not valid",
                    trust_domain.status());
  }
  if (*trust_domain == state.options.trust_domain) {
    return InvalidArgument("removing the bundle for the server trust domain is not allowed");
  }
  if (batch.Find(state, *trust_domain) == nullptr) {
    return NotFound("bundle not found");
  }
  RETURN_IF_ERROR(Release(state, *trust_domain, mode, batch));
  batch.bundles.insert_or_assign(*trust_domain, std::nullopt);
  return absl::OkStatus();
}

// The own bundle with what it has not got of the request's authorities.
absl::StatusOr<TrustBundle> Append(const State& state, const bundle::AppendBundleRequest& request) {
  auto jwt = ParseJwtAuthorities(request.jwt_authorities());
  if (!jwt.ok()) {
    return ApiError(absl::StatusCode::kInvalidArgument, "failed to convert JWT authority",
                    jwt.status());
  }
  auto x509 = ParseX509Authorities(request.x509_authorities());
  if (!x509.ok()) {
    return ApiError(absl::StatusCode::kInvalidArgument, "failed to convert X.509 authority",
                    x509.status());
  }
  TrustBundle appended = state.OwnBundle();
  for (X509Authority& authority : *x509) {
    auto& present = appended.x509_authorities;
    if (std::none_of(present.begin(), present.end(), [&](const X509Authority& other) {
          return other.certificate == authority.certificate;
        })) {
      present.push_back(std::move(authority));
    }
  }
  for (JwtAuthority& authority : *jwt) {
    auto& present = appended.jwt_authorities;
    if (std::none_of(present.begin(), present.end(),
                     [&](const JwtAuthority& other) { return other.key_id == authority.key_id; })) {
      present.push_back(std::move(authority));
    }
  }
  return appended;
}

}  // namespace

void AppendBundle(State& state, const bundle::AppendBundleRequest& request,
                  const rpc::Responder& responder) {
  if (request.x509_authorities().empty() && request.jwt_authorities().empty()) {
    responder.Fail(InvalidArgument("no authorities to append"));
    return;
  }
  Change<types::Bundle>(
      state,
      [&state, request](Batch<types::Bundle>& batch) -> absl::Status {
        ASSIGN_OR_RETURN(TrustBundle appended, Append(state, request));
        if (appended != state.OwnBundle()) {
          appended.sequence_number = appended.sequence_number.value_or(0) + 1;
          batch.bundles.emplace(appended.trust_domain, appended);
        }
        ToProto(appended, request.has_output_mask() ? request.output_mask() : AllOfBundle(),
                &batch.response);
        return absl::OkStatus();
      },
      responder);
}

void CreateFederatedBundles(State& state, const bundle::BatchCreateFederatedBundleRequest& request,
                            const rpc::Responder& responder) {
  using Response = bundle::BatchCreateFederatedBundleResponse;
  ChangeEach<Response>(
      state, request,
      [&state](const Batch<Response>& batch,
               const types::Bundle& sent) -> absl::StatusOr<TrustBundle> {
        ASSIGN_OR_RETURN(TrustBundle parsed, ParseFederated(state, sent, "creating"));
        if (batch.Find(state, parsed.trust_domain) != nullptr) {
          return absl::AlreadyExistsError("bundle already exists");
        }
        return parsed;
      },
      responder);
}

void UpdateFederatedBundles(State& state, const bundle::BatchUpdateFederatedBundleRequest& request,
                            const rpc::Responder& responder) {
  using Response = bundle::BatchUpdateFederatedBundleResponse;
  const auto& mask = request.has_input_mask() ? request.input_mask() : AllOfBundle();
  ChangeEach<Response>(
      state, request,
      [&state, mask](const Batch<Response>& batch,
                     const types::Bundle& sent) -> absl::StatusOr<TrustBundle> {
        ASSIGN_OR_RETURN(const TrustBundle parsed, ParseFederated(state, sent, "updating"));
        const TrustBundle* current = batch.Find(state, parsed.trust_domain);
        if (current == nullptr) {
          return NotFound("bundle not found");
        }
        return ApplyUpdate(*current, parsed, mask);
      },
      responder);
}

void SetFederatedBundles(State& state, const bundle::BatchSetFederatedBundleRequest& request,
                         const rpc::Responder& responder) {
  using Response = bundle::BatchSetFederatedBundleResponse;
  ChangeEach<Response>(
      state, request,
      [&state](const Batch<Response>&, const types::Bundle& sent) {
        return ParseFederated(state, sent, "setting");
      },
      responder);
}

void DeleteFederatedBundles(State& state, const DeleteRequest& request,
                            const rpc::Responder& responder) {
  if (!DeleteRequest::Mode_IsValid(request.mode())) {
    responder.Fail(InvalidArgument("failed to parse deletion mode: unhandled delete mode \"{}\"",
                                   static_cast<int>(request.mode())));
    return;
  }
  Change<DeleteResponse>(
      state,
      [&state, request](Batch<DeleteResponse>& batch) {
        for (const std::string& name : request.trust_domains()) {
          auto* result = batch.response.add_results();
          result->set_trust_domain(name);
          ToProto(DeleteOne(state, name, request.mode(), batch), result->mutable_status());
        }
        return absl::OkStatus();
      },
      responder);
}

}  // namespace assay
