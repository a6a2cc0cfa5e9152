// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/entry_sync.h"

#include <algorithm>

#include "base/log.h"
#include "upstream/answers.h"

namespace assay {
namespace {

// Several times what a node has; more is no upstream that means well. Revisions and entries count
// each, and a large node gets all of both in its first sync.
constexpr size_t kMaxItems = 1'000'000;
constexpr size_t kMaxBytes = 512 << 20;

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

EntrySync::EntrySync(const TrustDomain& trust_domain, EntrySink& sink)
    : trust_domain_(trust_domain), sink_(sink) {}

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
    RETURN_IF_ERROR(TakeEntries());
    if (!response_.more()) {
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(Read(call));
  }
}

absl::Status EntrySync::Read(Call& call) {
  RETURN_IF_ERROR(call.Read(response_));
  items_ += static_cast<size_t>(response_.entries_size() + response_.entry_revisions_size());
  if (response_.entry_revisions().empty()) {
    bytes_ += 1 + response_.ByteSizeLong();
  }
  // All entries have one at each sync, and to measure them whole takes as long as to read them.
  for (const auto& revision : response_.entry_revisions()) {
    bytes_ += revision.id().size();
  }
  if (items_ > kMaxItems || bytes_ > kMaxBytes) {
    return Internal("sync: the upstream sent more than {} entries and revisions, or {} bytes",
                    kMaxItems, kMaxBytes);
  }
  return absl::OkStatus();
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
    if (revision.id().empty() || revision.revision_number() < 0) {
      log::Warn("Left out a malformed entry revision",
                {{"entry_id", revision.id()}, {"revision", revision.revision_number()}});
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
  by_id_ = true;
  for (size_t start = 0; start < stale_.size(); start += page_size_) {
    Request request;
    const size_t end = std::min(start + page_size_, stale_.size());
    ids_.clear();
    for (size_t i = start; i < end; ++i) {
      ids_.insert(stale_[i]);
      *request.add_ids() = std::move(stale_[i]);
    }
    RETURN_IF_ERROR(call.Write(request));
    RETURN_IF_ERROR(Read(call));
    RETURN_IF_ERROR(TakeAllEntries(call));
  }
  return absl::OkStatus();
}

absl::Status EntrySync::TakeEntries() {
  for (const auto& message : response_.entries()) {
    auto entry = EntryOf(message, trust_domain_);
    if (!entry.ok()) {
      log::Warn("Left out a malformed entry",
                {{"entry_id", message.id()}, {"error", entry.status()}});
      continue;
    }
    if (by_id_ ? ids_.erase(entry->id) == 0 : !ids_.insert(entry->id).second) {
      return Internal("sync: the upstream sent entry {} twice, or unasked", Quoted(entry->id));
    }
    sink_.OnEntry(*std::move(entry));
  }
  return absl::OkStatus();
}

}  // namespace assay
