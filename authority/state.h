// SPDX-License-Identifier: GPL-3.0-or-later
// What the services of an authority share: its state in memory, the way to change it, and the
// threads that do what must not hold up the loop. Owned by the loop's thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "authority/bundles.h"
#include "authority/certificate_authority.h"
#include "authority/change_queue.h"
#include "authority/entries.h"
#include "authority/key_folder.h"
#include "authority/nodes.h"
#include "authority/options.h"
#include "authority/outside_work.h"
#include "authority/rate_limit.h"
#include "authority/store.h"
#include "authority/waiting_room.h"
#include "authority/work_queue.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/refusal_log.h"
#include "rpc/call.h"

namespace assay {

// What GetAuthorizedEntries answers.
struct AuthorizedBook {
  AuthorizedEntries::View view;
  std::string mask;  // Serialized.
  rpc::Frame frame;

  AuthorizedBook(AuthorizedEntries::View a_view, std::string a_mask,
                 const google::protobuf::MessageLite& answer)
      : view(std::move(a_view)), mask(std::move(a_mask)), frame(answer) {}
};

struct State final {
  // Reads everything from the data folder, which is made when it is absent. The clock and the loop
  // must outlive it.
  static absl::StatusOr<std::unique_ptr<State>> Open(const AuthorityOptions& options,
                                                     const Clock& clock, EventLoop& loop);

  State(const AuthorityOptions& authority_options, const Clock& a_clock, EventLoop& a_loop,
        std::unique_ptr<Store> a_store, KeyFolder key_folder);
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // Of which kinds there are signing authorities.
  static std::vector<SigningAuthority::Kind> KindsOf(const AuthorityOptions& options);
  // The bundle of the own trust domain.
  const TrustBundle& OwnBundle() const { return *bundles.Find(options.trust_domain); }
  int64_t UnixNow() const { return absl::ToUnixSeconds(clock.Now()); }

  const AuthorityOptions options;
  const Clock& clock;
  EventLoop& loop;
  const std::unique_ptr<Store> store;  // The storage thread's, once the loop runs.
  const KeyFolder keys;                // The storage thread's too.

  EntrySet entries;
  AuthorizedEntries authorized;
  NodeSet nodes;
  JoinTokenSet tokens;
  BundleSet bundles;
  CertificateAuthority ca;
  RateLimit attest_limit, csr_limit, jwt_limit, status_limit, authorized_limit;
  WaitingRoom waiting_room;
  // Of attestations: what nodes show that was not yet verified, and nodes that owe an answer.
  WaitingRoom verifying;
  // By attestor, for what some ask of a stranger before they challenge him is little. Some 20 KB
  // each, for up to a minute.
  static constexpr WaitingRoom::Limits kChallenged = {.requests_of_one = 64, .requests = 4096};
  std::map<std::string, WaitingRoom> challenged;
  RefusalLog<std::string> refusals;  // By host, as limits have it.
  // By SPIFFE ID, as long as some call is sending it.
  std::unordered_map<std::string, std::weak_ptr<const AuthorizedBook>> authorized_books;
  // The open calls of agents, by SPIFFE ID.
  std::set<std::pair<std::string, rpc::Call*>> agent_calls;

  // After all that their work touches, for they finish it when they die.
  // Verification has its own, so that strangers do not hold up what is signed for agents.
  WorkQueue storage, signing, verification;
  // For verifications that wait for other machines, where such are configured.
  std::optional<OutsideWork> outside;
  ChangeQueue changes;

 private:
  absl::Status Load();
};

}  // namespace assay
