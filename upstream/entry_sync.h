// SPDX-License-Identifier: GPL-3.0-or-later
// One SyncAuthorizedEntries call: the entries an agent may serve, all at once when they are few,
// otherwise their revisions page by page and then those that the agent lacks. And the older
// GetAuthorizedEntries, which has all of them come each time.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "spire/api/server/entry/v1/entry.grpc.pb.h"
#include "upstream/bidi_call.h"
#include "upstream/entry_intake.h"
#include "upstream/upstream.h"

namespace assay {

class EntrySync final {
 public:
  // All must outlive it; the context carries the call's deadline.
  EntrySync(const TrustDomain& trust_domain, EntrySink& sink, ToldEntries& told, size_t max_items);

  absl::Status Run(const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext& context);
  // Whether the upstream answered anything.
  bool answered() const { return answered_; }

 private:
  using Request = spire::api::server::entry::v1::SyncAuthorizedEntriesRequest;
  using Response = spire::api::server::entry::v1::SyncAuthorizedEntriesResponse;
  using Call = BidiCall<Request, Response>;

  absl::Status Converse(Call& call);
  absl::Status TakeAllEntries(Call& call);
  // Reads a response, with what is bounded over the whole call.
  absl::Status Read(Call& call);
  absl::Status TakeRevisions(Call& call);
  absl::Status FetchStale(Call& call);
  void TakeRevisionPage();

  EntrySink& sink_;
  EntryIntake intake_;
  bool answered_ = false;
  // One message for all pages, so that reading a page allocates nothing after the first.
  Response response_;
  EntryRevision revision_;
  size_t page_size_ = 0;
  std::vector<std::string> stale_;
};

// The call of GetAuthorizedEntries, and what to do with its answer.
spire::api::server::entry::v1::GetAuthorizedEntriesRequest AllEntriesRequest();
absl::Status TakeAllEntries(
    const spire::api::server::entry::v1::GetAuthorizedEntriesResponse& response,
    EntryIntake& intake);

}  // namespace assay
