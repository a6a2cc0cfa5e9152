// SPDX-License-Identifier: GPL-3.0-or-later
// The identity role's end of the channel to serve: it tells the complete state when the channel is
// new, and changes after that, in packets that serve makes visible at once with the last of them.
// While serve reads slowly, changes gather here and each is sent once. Owned by the identity
// thread.
#pragma once

#include <absl/time/time.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "agent/identity_entries.h"
#include "agent/identity_jwt_svids.h"
#include "agent/identity_svids.h"
#include "base/event_loop.h"
#include "base/sandbox/channel.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "spiffe/trust_bundle.h"

namespace assay {

namespace roles {
class ServeRequest;
class StateChange;
}  // namespace roles

// What serve may know, but for entries that are for stores outside, and their SVIDs. By the names
// of trust domains, the bundles.
struct StateToServe {
  const EntryStore& entries;
  const SvidStore& svids;
  const std::map<std::string, TrustBundle>& bundles;
  const JwtSvidStore* jwt_svids = nullptr;
};

class ServeLink final {
 public:
  using OnRequest = std::function<void(const roles::ServeRequest& request)>;
  // Called once and by the loop alone, so that it may destroy the link.
  using OnClosed = std::function<void(const absl::Status& why)>;

  // Starts with the complete state, which is sent by the first Commit. The loop and what the state
  // refers to must outlive the link.
  static absl::StatusOr<std::unique_ptr<ServeLink>> Create(EventLoop& loop, UniqueFd channel,
                                                           const StateToServe& state,
                                                           OnRequest on_request,
                                                           OnClosed on_closed);
  ~ServeLink();
  ServeLink(const ServeLink&) = delete;
  ServeLink& operator=(const ServeLink&) = delete;

  // Something with this name is new, changed, or gone.
  void EntryChanged(std::string_view id) {
    if (!reset_) {  // Else the complete state is still to come, and has it.
      entries_.emplace(id);
    }
  }
  void SvidChanged(std::string_view id) { svids_.emplace(id); }
  void BundleChanged(std::string_view trust_domain) { bundles_.emplace(trust_domain); }
  // What is told with each commit.
  struct Told {
    absl::Time last_sync;
    std::string agent_chain = {};  // The agent's own SVID, DER certificates, leaf first.
    int store_svids = 0;           // How many SVIDs for stores outside are ready.
    bool unready = false;          // The agent cannot do its work.
  };
  // Sends what has changed so far, to be seen as a whole.
  void Commit(Told told);
  // Sends it soon, whatever there is to commit. Ends the link when serve leaves too much unread.
  void Tell(JwtNews news);
  // Asks serve for its report, which is to have this number.
  void AskReport(uint64_t number);
  // Has serve forget everything.
  void Drop();
  // Serve broke the rules: nothing more is read from it, and on_closed is called soon.
  void Close(const absl::Status& why);

 private:
  ServeLink(EventLoop& loop, const StateToServe& state, OnRequest on_request, OnClosed on_closed);
  void OnMessage(std::string_view bytes, const UniqueFd& fd);
  void Pump();
  void PumpState();
  void PumpJwts();
  bool Fill(roles::StateChange& packet);
  bool FillFromPlaces(roles::StateChange& packet);
  bool IsForStore(const std::string& id) const { return state_.entries.for_stores().contains(id); }
  // What is for a store outside is told as gone: no caller may have it.
  // What is too large for a packet is told as gone: serve must not go on with what it was.
  bool AddEntry(const std::string& id, roles::StateChange& packet);
  bool AddSvid(const std::string& id, roles::StateChange& packet);
  bool AddBundle(const std::string& trust_domain, roles::StateChange& packet);
  bool Fits(size_t size);

  EventLoop& loop_;
  const StateToServe state_;
  const OnRequest on_request_;
  const OnClosed on_closed_;
  std::unique_ptr<Channel> channel_;
  EventLoop::TimerId timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  bool reset_ = true;      // The next packet begins the complete state.
  size_t next_place_ = 0;  // Of the entries, while the complete state is told.
  bool commit_ = false;
  bool closed_ = false;
  Told told_;
  std::set<std::string> entries_;
  std::set<std::string> svids_;
  std::set<std::string> bundles_;
  std::deque<JwtNews> jwts_;
  size_t jwt_bytes_ = 0, most_jwt_bytes_ = 0;  // Of these; more than the complete state has.
  size_t packet_bytes_ = 0;                    // Of the packet being filled.
};

}  // namespace assay
