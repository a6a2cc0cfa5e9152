// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/entry_sync.h"

#include <algorithm>
#include <deque>

#include "authority/authorization.h"
#include "authority/entry_convert.h"
#include "spire/api/server/entry/v1/entry.pb.h"

namespace assay {

namespace entry = spire::api::server::entry::v1;
namespace types = spire::api::types;

namespace {

constexpr size_t kPage = 500;
// Past this many bytes that the agent has not read, the next pages wait.
constexpr size_t kPauseAtBytes = 1 << 20;
constexpr absl::Duration kPause = absl::Milliseconds(5);

class EntrySync final : public rpc::CallHandler {
 public:
  EntrySync(State& state, rpc::Call& call)
      : state_(state), call_(call), view_(AuthorizedFor(state, call.peer())) {}
  ~EntrySync() override { *alive_ = false; }

  void OnMessage(std::string_view bytes) override;
  void OnHalfClose() override;

 private:
  void Begin(const entry::SyncAuthorizedEntriesRequest& request);
  void SendRevisions();
  void SendEntries(std::vector<EntryPtr> entries);
  void Queue(std::function<entry::SyncAuthorizedEntriesResponse()> page);
  void Send();

  State& state_;
  rpc::Call& call_;
  const AuthorizedEntries::View view_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::optional<types::EntryMask> mask_;  // Set by the first request.
  // Pages are made when there is room for them, not before.
  std::deque<std::function<entry::SyncAuthorizedEntriesResponse()>> pages_;
  bool paused_ = false;
  bool finish_ = false;  // Once all pages are sent.
};

void EntrySync::OnMessage(std::string_view bytes) {
  entry::SyncAuthorizedEntriesRequest request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    call_.Finish(Internal("grpc: error unmarshalling request"));
    return;
  }
  if (finish_) {
    return;
  }
  if (!mask_.has_value()) {
    Begin(request);
    return;
  }
  std::vector<std::string_view> ids(request.ids().begin(), request.ids().end());
  std::sort(ids.begin(), ids.end());
  std::vector<EntryPtr> wanted;
  for (const std::string_view id : ids) {
    if (EntryPtr found = FindIn(*view_, id)) {
      wanted.push_back(std::move(found));
    }
  }
  SendEntries(std::move(wanted));
}

void EntrySync::OnHalfClose() {
  finish_ = true;
  Send();
}

void EntrySync::Begin(const entry::SyncAuthorizedEntriesRequest& request) {
  if (!request.ids().empty()) {
    call_.Finish(InvalidArgument("specifying IDs on initial request is not supported"));
    return;
  }
  if (request.has_output_mask() && !request.output_mask().revision_number()) {
    call_.Finish(InvalidArgument("revision number cannot be masked"));
    return;
  }
  mask_ = request.has_output_mask() ? request.output_mask() : AllOfEntry();
  if (view_->size() <= kPage) {
    finish_ = true;
    SendEntries(*view_);
  } else {
    SendRevisions();
  }
}

void EntrySync::SendRevisions() {
  for (size_t begin = 0; begin < view_->size(); begin += kPage) {
    Queue([view = view_, begin] {
      entry::SyncAuthorizedEntriesResponse response;
      const size_t end = std::min(begin + kPage, view->size());
      for (size_t i = begin; i < end; ++i) {
        entry::EntryRevision* revision = response.add_entry_revisions();
        revision->set_id((*view)[i]->id);
        revision->set_revision_number((*view)[i]->revision_number);
        revision->set_created_at((*view)[i]->created_at);
      }
      response.set_more(end < view->size());
      return response;
    });
  }
  Send();
}

void EntrySync::SendEntries(std::vector<EntryPtr> entries) {
  const auto shared = std::make_shared<const std::vector<EntryPtr>>(std::move(entries));
  size_t begin = 0;
  do {
    Queue([this, shared, begin] {
      entry::SyncAuthorizedEntriesResponse response;
      const size_t end = std::min(begin + kPage, shared->size());
      for (size_t i = begin; i < end; ++i) {
        ToProto(*(*shared)[i], *mask_, response.add_entries());
      }
      response.set_more(end < shared->size());
      return response;
    });
    begin += kPage;
  } while (begin < shared->size());
  Send();
}

void EntrySync::Queue(std::function<entry::SyncAuthorizedEntriesResponse()> page) {
  pages_.push_back(std::move(page));
}

void EntrySync::Send() {
  if (paused_) {
    return;
  }
  while (!pages_.empty()) {
    if (call_.pending_bytes() >= kPauseAtBytes) {
      paused_ = true;
      state_.loop.After(kPause, [this, alive = alive_] {
        if (*alive) {
          paused_ = false;
          Send();
        }
      });
      return;
    }
    call_.Send(std::make_shared<const rpc::Frame>(pages_.front()()));
    pages_.pop_front();
  }
  if (finish_) {
    call_.Finish(absl::OkStatus());
  }
}

}  // namespace

AuthorizedEntries::View AuthorizedFor(State& state, const rpc::Peer& caller) {
  const std::optional<SpiffeId> id = CallerId(caller);
  const Node* node = id.has_value() ? state.nodes.Find(*id) : nullptr;
  if (node == nullptr) {
    return std::make_shared<const std::vector<EntryPtr>>();
  }
  return state.authorized.For(*id, node->selectors);
}

std::unique_ptr<rpc::CallHandler> MakeEntrySync(State& state, rpc::Call& call) {
  return std::make_unique<EntrySync>(state, call);
}

}  // namespace assay
