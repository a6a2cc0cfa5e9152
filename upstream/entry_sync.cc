// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/entry_sync.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace assay {
namespace {

// The fields an agent has a use for; the upstream applies the others itself.
spire::api::types::EntryMask AgentMask() {
  spire::api::types::EntryMask mask;
  mask.set_spiffe_id(true);
  mask.set_selectors(true);
  mask.set_federates_with(true);
  mask.set_admin(true);
  mask.set_downstream(true);
  mask.set_revision_number(true);
  mask.set_store_svid(true);
  mask.set_hint(true);
  mask.set_additional_attributes(true);
  mask.set_created_at(true);
  return mask;
}

}  // namespace

EntrySync::EntrySync(const TrustDomain& trust_domain, EntrySink& sink, ToldEntries& told,
                     size_t max_items)
    : sink_(sink), intake_(trust_domain, sink, told, max_items) {}

absl::Status EntrySync::Run(const std::shared_ptr<grpc::Channel>& channel,
                            grpc::ClientContext& context) {
  spire::api::server::entry::v1::Entry::Stub stub(channel);
  Call call(context, stub.SyncAuthorizedEntries(&context));
  const absl::Status conversed = Converse(call);
  answered_ = call.answered();
  return call.Finish(conversed);
}

absl::Status EntrySync::Converse(Call& call) {
  Request request;
  *request.mutable_output_mask() = AgentMask();
  RETURN_IF_ERROR(call.Write(request));
  RETURN_IF_ERROR(Read(call));
  if (response_.entry_revisions().empty()) {
    return TakeAllEntries(call);
  }
  RETURN_IF_ERROR(TakeRevisions(call));
  return FetchStale(call);
}

// Takes the entries of the response at hand and of those that belong to it.
absl::Status EntrySync::TakeAllEntries(Call& call) {
  while (true) {
    if (!response_.entry_revisions().empty()) {
      return Internal("sync: the upstream sent revisions among entries");
    }
    intake_.Take(response_.entries());
    if (!response_.more()) {
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(Read(call));
  }
}

absl::Status EntrySync::Read(Call& call) {
  RETURN_IF_ERROR(call.Read(response_));
  // All entries have a revision at each sync, and to measure those whole takes as long as to read
  // them.
  size_t bytes = response_.entry_revisions().empty() ? 1 + response_.ByteSizeLong() : 0;
  for (const auto& revision : response_.entry_revisions()) {
    bytes += revision.id().size();
  }
  return intake_.Count(
      static_cast<size_t>(response_.entries_size() + response_.entry_revisions_size()), bytes);
}

absl::Status EntrySync::TakeRevisions(Call& call) {
  page_size_ = static_cast<size_t>(response_.entry_revisions_size());
  while (true) {
    if (!response_.entries().empty()) {
      return Internal("sync: the upstream sent entries among revisions");
    }
    TakeRevisionPage();
    if (!response_.more()) {
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(Read(call));
  }
}

void EntrySync::TakeRevisionPage() {
  for (const auto& revision : response_.entry_revisions()) {
    if (!intake_.IsSound(revision)) {
      continue;
    }
    revision_.id = revision.id();
    revision_.revision_number = revision.revision_number();
    revision_.created_at = revision.created_at();
    if (sink_.NeedsEntry(revision_)) {
      stale_.push_back(revision.id());
    }
  }
}

absl::Status EntrySync::FetchStale(Call& call) {
  std::sort(stale_.begin(), stale_.end());
  stale_.erase(std::unique(stale_.begin(), stale_.end()), stale_.end());
  for (size_t start = 0; start < stale_.size(); start += page_size_) {
    Request request;
    const size_t end = std::min(start + page_size_, stale_.size());
    std::unordered_set<std::string> ids;
    for (size_t i = start; i < end; ++i) {
      ids.insert(stale_[i]);
      *request.add_ids() = std::move(stale_[i]);
    }
    intake_.Expect(std::move(ids));
    RETURN_IF_ERROR(call.Write(request));
    RETURN_IF_ERROR(Read(call));
    RETURN_IF_ERROR(TakeAllEntries(call));
  }
  return absl::OkStatus();
}

spire::api::server::entry::v1::GetAuthorizedEntriesRequest AllEntriesRequest() {
  spire::api::server::entry::v1::GetAuthorizedEntriesRequest request;
  *request.mutable_output_mask() = AgentMask();
  return request;
}

absl::Status TakeAllEntries(
    const spire::api::server::entry::v1::GetAuthorizedEntriesResponse& response,
    EntryIntake& intake) {
  RETURN_IF_ERROR(
      intake.Count(static_cast<size_t>(response.entries_size()), response.ByteSizeLong()));
  intake.Take(response.entries());
  return absl::OkStatus();
}

}  // namespace assay
