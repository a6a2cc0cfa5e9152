// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/entry_sync.h"

#include <algorithm>
#include <deque>
#include <set>

#include "authority/authorization.h"
#include "authority/entry_convert.h"
#include "spire/api/server/entry/v1/entry.pb.h"

namespace assay {

namespace entry = spire::api::server::entry::v1;
namespace types = spire::api::types;

namespace {

constexpr size_t kPage = 500;
// Requests of an agent that does not wait for its answers; the reference waits.
constexpr size_t kMaxWaitingAnswers = 8;
// Past this many bytes that the agent has not read, the next pages wait.
constexpr size_t kPauseAtBytes = 1 << 20;
constexpr absl::Duration kPause = absl::Milliseconds(5);

class EntrySync final : public rpc::CallHandler {
 public:
  EntrySync(State& state, rpc::Call& call)
      : state_(state), call_(call), view_(AuthorizedFor(state, call.peer())) {}
  ~EntrySync() override { state_.loop.Cancel(pause_timer_); }

  void OnMessage(std::string_view bytes) override;
  void OnHalfClose() override;

 private:
  absl::Status Begin(const entry::SyncAuthorizedEntriesRequest& request);
  absl::Status Answer(const entry::SyncAuthorizedEntriesRequest& request);
  entry::SyncAuthorizedEntriesResponse NextRevisions();
  entry::SyncAuthorizedEntriesResponse NextEntries();
  void Send();

  State& state_;
  rpc::Call& call_;
  const AuthorizedEntries::View view_;
  std::optional<types::EntryMask> mask_;  // Set by the first request.
  // Pages are made when there is room for them, not before: of the revisions, then the answers.
  size_t next_revision_ = 0, revisions_end_ = 0;
  std::deque<std::vector<EntryPtr>> answers_;
  EventLoop::TimerId pause_timer_ = 0;  // Runs while pages wait for the agent to read.
  bool finish_ = false;                 // Once all pages are sent.
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
  if (const absl::Status taken = mask_.has_value() ? Answer(request) : Begin(request);
      !taken.ok()) {
    call_.Finish(taken);
    return;
  }
  Send();
}

void EntrySync::OnHalfClose() {
  finish_ = true;
  Send();
}

absl::Status EntrySync::Begin(const entry::SyncAuthorizedEntriesRequest& request) {
  if (!request.ids().empty()) {
    return InvalidArgument("specifying IDs on initial request is not supported");
  }
  if (request.has_output_mask() && !request.output_mask().revision_number()) {
    return InvalidArgument("revision number cannot be masked");
  }
  mask_ = request.has_output_mask() ? request.output_mask() : AllOfEntry();
  if (view_->size() <= kPage) {
    finish_ = true;
    answers_.push_back(*view_);
  } else {
    revisions_end_ = view_->size();
  }
  return absl::OkStatus();
}

absl::Status EntrySync::Answer(const entry::SyncAuthorizedEntriesRequest& request) {
  if (request.ids_size() > static_cast<int>(kPage)) {
    return InvalidArgument("too many IDs in one request (max {})", kPage);
  }
  if (answers_.size() >= kMaxWaitingAnswers) {
    return ResourceExhausted("too many requests wait for their answers to be read");
  }
  const std::set<std::string_view> ids(request.ids().begin(), request.ids().end());
  std::vector<EntryPtr>& answer = answers_.emplace_back();
  for (const std::string_view id : ids) {
    if (EntryPtr found = FindIn(*view_, id)) {
      answer.push_back(std::move(found));
    }
  }
  return absl::OkStatus();
}

entry::SyncAuthorizedEntriesResponse EntrySync::NextRevisions() {
  entry::SyncAuthorizedEntriesResponse response;
  for (const size_t end = std::min(next_revision_ + kPage, revisions_end_); next_revision_ < end;
       ++next_revision_) {
    const RegistrationEntry& listed = *(*view_)[next_revision_];
    entry::EntryRevision* revision = response.add_entry_revisions();
    revision->set_id(listed.id);
    revision->set_revision_number(listed.revision_number);
    revision->set_created_at(listed.created_at);
  }
  response.set_more(next_revision_ < revisions_end_);
  return response;
}

entry::SyncAuthorizedEntriesResponse EntrySync::NextEntries() {
  entry::SyncAuthorizedEntriesResponse response;
  for (const EntryPtr& sent : answers_.front()) {
    ToProto(*sent, *mask_, response.add_entries());
  }
  answers_.pop_front();
  return response;
}

void EntrySync::Send() {
  while (next_revision_ < revisions_end_ || !answers_.empty()) {
    if (pause_timer_ != 0) {
      return;
    }
    if (call_.pending_bytes() >= kPauseAtBytes) {
      pause_timer_ = state_.loop.After(kPause, [this] {
        pause_timer_ = 0;
        Send();
      });
      return;
    }
    call_.Send(std::make_shared<const rpc::Frame>(next_revision_ < revisions_end_ ? NextRevisions()
                                                                                  : NextEntries()));
  }
  if (finish_) {
    call_.Finish(absl::OkStatus());
  }
}

}  // namespace

AuthorizedEntries::View AuthorizedFor(State& state, const rpc::Peer& caller) {
  const std::optional<SpiffeId> id = CallerId(caller);
  const Node* node = id.has_value() ? state.nodes.Find(*id) : nullptr;
  if (node == nullptr || node->banned()) {
    return std::make_shared<const std::vector<EntryPtr>>();
  }
  return state.authorized.For(*id, node->selectors, state.UnixNow());
}

std::unique_ptr<rpc::CallHandler> MakeEntrySync(State& state, rpc::Call& call) {
  return std::make_unique<EntrySync>(state, call);
}

}  // namespace assay
