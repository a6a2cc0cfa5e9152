// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/sds_methods.h"

#include <algorithm>
#include <string>
#include <utility>

#include "crypto/digest.h"
#include "envoy/service/discovery/v3/discovery.pb.h"
#include "google/rpc/status.pb.h"
#include "workload-api/sds_request_check.h"

namespace assay {
namespace {

namespace discovery = envoy::service::discovery::v3;

// Of an initial_resource_versions; ours are shorter.
constexpr size_t kMaxVersionBytes = 64;
// Of the names that an error repeats.
constexpr size_t kMaxToldBytes = 512;

template <typename Request>
absl::Status Parse(std::string_view bytes, const SdsRequestForm& form, Request& request) {
  RETURN_IF_ERROR(CheckSdsRequest(bytes, form));
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Internal(
        "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data");
  }
  return SdsSubscription::CheckType(request.type_url());
}

void Put(const SdsResource& resource, google::protobuf::Any& out) {
  out.set_type_url(std::string(kSdsTypeUrl));
  out.set_value(resource.bytes.Reveal().data(), resource.bytes.size());
}

void WipeValue(google::protobuf::Any& any) {
  Wipe(any.mutable_value()->data(), any.value().size());
}

// The resources in the state-of-the-world form, under a version of their own.
class Answer final {
 public:
  void Add(const SdsResource& resource) {
    Put(resource, *response_.add_resources());
    versions_ += fmt::format("{} {}\n", resource.name, resource.version);
  }
  // The answer, without what was added.
  rpc::SharedFrame Take(std::string nonce) {
    response_.set_type_url(std::string(kSdsTypeUrl));
    response_.set_version_info(version());
    response_.set_nonce(std::move(nonce));
    auto frame = std::make_shared<const rpc::Frame>(response_);
    for (google::protobuf::Any& any : *response_.mutable_resources()) {
      WipeValue(any);
    }
    return frame;
  }
  std::string version() const {
    return crypto::HexEncode(crypto::Digest(crypto::Hash::kSha256, versions_).substr(0, 16));
  }

 private:
  discovery::DiscoveryResponse response_;
  std::string versions_;
};

class StreamSecrets final : public SdsCall {
 public:
  using SdsCall::SdsCall;

 protected:
  absl::StatusOr<bool> Take(std::string_view bytes) override {
    discovery::DiscoveryRequest request;
    RETURN_IF_ERROR(Parse(bytes, kWholeForm, request));
    if (request.has_error_detail()) {
      LogRefusal(request.error_detail(), request.response_nonce());
    }
    // A client that got another answer meanwhile answers that one too, with what it wants by then.
    if (answers_ > 0 && request.response_nonce() != Nonce()) {
      return false;
    }
    if (answers_ > 0 && !request.has_error_detail() && request.version_info() != version_) {
      google::rpc::Status without_words;
      without_words.set_message("the proxy went on with another version, and does not say why");
      LogRefusal(without_words, request.response_nonce());
    }
    const bool other_node = request.has_node() && TakeNode(request.node());
    ASSIGN_OR_RETURN(const bool other_names, subscription_.Replace(request.resource_names()));
    if (other_names) {
      std::erase_if(told_, [&](const auto& told) { return !subscription_.Covers(told.first); });
    }
    return other_names || other_node;
  }
  bool HasNews(const Found& found) override {
    return std::ranges::any_of(found.resources,
                               [&](const auto& one) { return !Has(*one.second); }) ||
           std::ranges::any_of(told_, [&](const auto& told) {
             return !found.resources.contains(told.first) && !found.awaited.contains(told.first);
           });
  }
  void Tell(const Found& found) override {
    std::map<std::string, Told, std::less<>> told;
    for (const auto& [name, resource] : found.resources) {
      told.try_emplace(resource->name, Told{resource->version, resource});
    }
    for (std::string_view name : found.awaited) {
      told.insert(told_.extract(told_.find(name)));
    }
    told_ = std::move(told);
    std::vector<SharedSdsResource> resources;
    for (const auto& [name, one] : told_) {
      resources.push_back(one.resource);
    }
    if (!Declare(resources)) {
      return;
    }
    Answer answer;
    for (const SharedSdsResource& resource : resources) {
      answer.Add(*resource);
    }
    ++answers_;
    version_ = answer.version();
    call_.Send(answer.Take(Nonce()));
  }
  std::string_view name() const override { return "StreamSecrets"; }

 private:
  std::string Nonce() const { return fmt::format("{}", answers_); }

  uint64_t answers_ = 0;
  std::string version_;  // Of the last.
};

class DeltaSecrets final : public SdsCall {
 public:
  using SdsCall::SdsCall;

 protected:
  absl::StatusOr<bool> Take(std::string_view bytes) override {
    discovery::DeltaDiscoveryRequest request;
    RETURN_IF_ERROR(Parse(bytes, kDeltaForm, request));
    if (request.has_error_detail()) {
      LogRefusal(request.error_detail(), request.response_nonce());
    }
    const bool other_node = request.has_node() && TakeNode(request.node());
    const bool everything = subscription_.everything();
    ASSIGN_OR_RETURN(const bool other_names,
                     subscription_.Change(request.resource_names_subscribe(),
                                          request.resource_names_unsubscribe()));
    if (everything && !subscription_.everything()) {
      std::erase_if(told_, [&](const auto& told) { return !subscription_.Covers(told.first); });
    }
    for (const std::string& name : request.resource_names_unsubscribe()) {
      if (!subscription_.Covers(name)) {
        told_.erase(name);
      }
    }
    if (std::exchange(begun_, true)) {
      // Who subscribes again wants it again.
      for (const std::string& again : request.resource_names_subscribe()) {
        told_.erase(again);
      }
    } else {
      RETURN_IF_ERROR(TakeVersions(request));
    }
    return other_names || other_node;
  }
  bool HasNews(const Found& found) override {
    return std::ranges::any_of(found.resources,
                               [&](const auto& one) { return !Has(*one.second); }) ||
           !Gone(found).empty();
  }
  void Tell(const Found& found) override {
    std::vector<SharedSdsResource> added_now;
    for (const auto& [name, resource] : found.resources) {
      if (!Has(*resource)) {
        added_now.push_back(resource);
      }
    }
    if (!Declare(added_now)) {
      return;
    }
    discovery::DeltaDiscoveryResponse response;
    response.set_type_url(std::string(kSdsTypeUrl));
    for (const auto& [name, resource] : found.resources) {
      if (!Has(*resource)) {
        discovery::Resource& added = *response.add_resources();
        added.set_name(resource->name);
        added.set_version(resource->version);
        Put(*resource, *added.mutable_resource());
      }
      told_.insert_or_assign(resource->name, Told{resource->version, resource});
    }
    for (const std::string& gone : Gone(found)) {
      told_.erase(gone);
      response.add_removed_resources(gone);
    }
    response.set_nonce(fmt::format("{}", ++answers_));
    call_.Send(std::make_shared<const rpc::Frame>(response));
    for (discovery::Resource& added : *response.mutable_resources()) {
      WipeValue(*added.mutable_resource());
    }
  }
  std::string_view name() const override { return "DeltaSecrets"; }

 private:
  // What the client has from before, of what it asks for.
  absl::Status TakeVersions(const discovery::DeltaDiscoveryRequest& request) {
    if (request.initial_resource_versions_size() > static_cast<int>(SdsSubscription::kMaxNames)) {
      return InvalidArgument("versions of {} resources are told; a stream may have {}",
                             request.initial_resource_versions_size(), SdsSubscription::kMaxNames);
    }
    size_t bytes = 0;
    for (const auto& [known, version] : request.initial_resource_versions()) {
      bytes += known.size();
      if (bytes > SdsSubscription::kMaxNameBytes) {
        return InvalidArgument("versions of resources are told whose names have more than {} bytes",
                               SdsSubscription::kMaxNameBytes);
      }
      if (subscription_.Covers(known)) {
        told_[known].version = version.substr(0, kMaxVersionBytes);
      }
    }
    KeepToo(SdsSubscription::KeptBytes(told_.size(), bytes));
    return absl::OkStatus();
  }
  std::vector<std::string> Gone(const Found& found) const {
    std::vector<std::string> gone;
    for (const auto& [name, told] : told_) {
      if (!found.resources.contains(name) && !found.awaited.contains(name)) {
        gone.push_back(name);
      }
    }
    return gone;
  }

  bool begun_ = false;
  uint64_t answers_ = 0;
};

class FetchSecrets final : public SdsCall {
 public:
  using SdsCall::SdsCall;
  void OnHalfClose() override {
    if (!begun_) {
      End(MakeStatus(absl::StatusCode::kUnknown, "EOF"));
    }
  }

 protected:
  absl::StatusOr<bool> Take(std::string_view bytes) override {
    // The first request is answered, and no other is looked at.
    if (std::exchange(begun_, true)) {
      return false;
    }
    discovery::DiscoveryRequest request;
    RETURN_IF_ERROR(Parse(bytes, kWholeForm, request));
    (void)TakeNode(request.node());
    return subscription_.Replace(request.resource_names());
  }
  bool HasNews(const Found& found) override {
    return found.settled || (found.missing.empty() && !subscription_.everything());
  }
  void Tell(const Found& found) override {
    if (!found.has_identity && (!found.missing.empty() || found.resources.empty())) {
      End(NoIdentity());
      return;
    }
    if (!found.missing.empty()) {
      NoteMissing(found);
      const std::string reason = ReasonOf(found);
      End(reason.empty() ? NotAuthorized(found) : InvalidArgument("{}", reason));
      return;
    }
    std::vector<SharedSdsResource> resources;
    for (const auto& [name, resource] : found.resources) {
      resources.push_back(resource);
    }
    if (!Declare(resources)) {
      return;
    }
    Answer answer;
    for (const SharedSdsResource& resource : resources) {
      answer.Add(*resource);
    }
    call_.Send(answer.Take(/*nonce=*/""));
    End(absl::OkStatus());
  }
  bool waits() const override { return false; }
  std::string_view name() const override { return "FetchSecrets"; }

 private:
  // In the reference's words, of the first names.
  static absl::Status NotAuthorized(const Found& found) {
    std::string names;
    for (std::string_view missing : found.missing) {
      if (names.size() > kMaxToldBytes) {
        names += " ...";
        break;
      }
      names += fmt::format("{}{}", names.empty() ? "" : " ", Quoted(missing));
    }
    return InvalidArgument("workload is not authorized for the requested identities [{}]", names);
  }

  bool begun_ = false;
};

}  // namespace

std::unique_ptr<rpc::CallHandler> MakeStreamSecrets(rpc::Call& call,
                                                    const SdsCall::Context& context) {
  return std::make_unique<StreamSecrets>(call, context);
}

std::unique_ptr<rpc::CallHandler> MakeDeltaSecrets(rpc::Call& call,
                                                   const SdsCall::Context& context) {
  return std::make_unique<DeltaSecrets>(call, context);
}

std::unique_ptr<rpc::CallHandler> MakeFetchSecrets(rpc::Call& call,
                                                   const SdsCall::Context& context) {
  return std::make_unique<FetchSecrets>(call, context);
}

}  // namespace assay
