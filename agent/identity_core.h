// SPDX-License-Identifier: GPL-3.0-or-later
// What the identity role does over time: prove the node, keep entries and bundles in step with the
// upstream, have SVIDs signed before they are needed and replaced before they expire, and tell
// serve all of it. It decides on the loop's thread; what blocks runs on others, one job at a time
// for entries, X509-SVIDs and bundles each, so that none waits for another, and a few for
// JWT-SVIDs. Owned by the identity thread.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/config.h"
#include "agent/identity_bundles.h"
#include "agent/identity_entries.h"
#include "agent/identity_health.h"
#include "agent/identity_jwt_minter.h"
#include "agent/identity_node.h"
#include "agent/identity_serve_link.h"
#include "agent/identity_serve_reports.h"
#include "agent/identity_signer.h"
#include "agent/identity_signing_queue.h"
#include "agent/identity_svids.h"
#include "agent/identity_timing.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/status.h"
#include "crypto/key.h"
#include "upstream/upstream.h"

namespace assay {

class IdentityCore final {
 public:
  // Runs a job soon, after those given before, and not on the loop's thread.
  using JobRunner = std::function<void(std::function<void()> job)>;

  struct Options {
    TrustDomain trust_domain;
    crypto::KeyType key_type = crypto::KeyType::kEcP256;
    AvailabilityTarget availability_target;
    size_t cache_size = 1000;  // SVIDs to have ready.
    size_t jwt_cache_size = 1000;
    absl::Duration sync_interval = absl::Seconds(5);
    RebootstrapMode rebootstrap_mode = RebootstrapMode::kNever;
    // The agent has served callers before, by a process before this one: what is wrong with the
    // upstream, short of a ban, no more ends it.
    bool has_served = false;
    // There are stores outside: SVIDs for them are always kept ready, besides those of cache_size.
    bool has_stores = false;
  };
  struct Surroundings {
    EventLoop& loop;
    const Clock& clock;
    Upstream& upstream;
    NodeIdentity& node;  // Used by sync jobs alone.
    JobRunner run_sync;
    JobRunner run_signing;
    JobRunner run_bundles;
    JobRunner run_minting;  // Several at a time.
    Random random;
    // The first sync went well: callers can be served.
    std::function<void()> on_serving;
    // The agent must stop with this exit status. Called once.
    std::function<void(int code, std::string_view reason)> on_exit;
    // The channel to the serve role has ended, or serve broke its rules.
    std::function<void(const absl::Status& why)> on_serve_ended;
    // Something of the state may have changed; for stores outside. May be null.
    std::function<void(const StateToServe& state)> on_state = nullptr;
  };

  // What the surroundings refer to must outlive it, and its jobs must have ended before it dies.
  IdentityCore(Options options, Surroundings surroundings);
  ~IdentityCore();
  IdentityCore(const IdentityCore&) = delete;
  IdentityCore& operator=(const IdentityCore&) = delete;

  void Start();
  // Takes the options that may change at any time: type of new keys, availability target, cache
  // size, sync interval. The SVIDs that there are stay until they are due.
  void Tune(const Options& options);
  // The channel to a serve role that has just been started.
  absl::Status LinkServe(UniqueFd channel);
  // Whether some job is running or waits to be run.
  bool is_busy() const { return calls_as_node() || bundle_busy_; }

  IdentityHealth Health() const;
  ServeReports& reports() { return reports_; }

 private:
  using Phase = IdentityHealth::Phase;
  enum class Rotation { kNone, kWhenDue, kNow };
  struct FailingEntry {
    Backoff backoff;
    absl::Duration failed_at, retry_at;
    Urgency urgency;
  };
  // What to do on the loop's thread when a job is done.
  using Done = std::function<void()>;

  // Calls that the upstream must not see made with the SVID before the present one.
  bool calls_as_node() const { return sync_busy_ || queue_.is_away() || jwts_.is_away(); }

  // identity_core.cc: the course of things.
  void OnSyncThread(std::function<Done()> job);
  void OnLoaded(const absl::StatusOr<std::optional<NodeFacts>>& loaded);
  void Exit(int code, const absl::Status& why);
  void Step();
  void CollectDue();
  void BeginDueJobs();
  void Arm();

  // identity_core_node.cc: the node's own identity.
  void BeginAttestation();
  void OnAttested(const absl::StatusOr<NodeFacts>& attested);
  bool CanRebootstrap(const NodeFacts& facts);
  void TakeNode(const NodeFacts& facts);
  absl::Duration RotationTime() const;
  void BeginRotation();
  void OnRotated(const absl::StatusOr<NodeFacts>& rotated);
  void OnRefusal(Refusal refusal, const absl::Status& why);
  bool IsAboutToBeginAnew(absl::Duration until_rebootstrap) const;
  void OnUntrusted(absl::Duration until_rebootstrap);
  void ForgetAndExit(std::string_view phrase, const absl::Status& why);

  // identity_core_sync.cc: entries.
  struct SyncOutcome {
    absl::Status status;  // When it is OK, the pass holds what is new.
    // Where the upstream is not trusted: how long until the node begins anew.
    std::optional<absl::Duration> until_rebootstrap;
    absl::Status posted;  // The agent's version.
  };
  void BeginSync();
  SyncOutcome Sync(SyncPass& pass, bool post_status);
  void OnSynced(const SyncOutcome& outcome, SyncPass& pass);
  void OnSyncFailed(const SyncOutcome& outcome);
  absl::Duration WaitAfterFailed(const SyncOutcome& outcome);
  void ApplyEntries(const EntryStore::Changes& changes);
  void ServeOnceComplete();

  // identity_core_bundles.cc: trust bundles.
  using BundleAnswer = absl::StatusOr<std::optional<TrustBundle>>;
  void BeginBundle(const std::string& name);
  void OnBundle(const std::string& name, BundleAnswer& answer, uint64_t node_number);
  void OnBundleFailed(const std::string& name, const absl::Status& why);
  void TakeBundle(const std::string& name, TrustBundle bundle);
  bool IsOlder(const std::string& name, const TrustBundle& bundle);
  void ReplaceIssuedBy(const TrustBundle& bundle);
  void ReplaceSvidsOf(const std::string& authority_key_id);
  void DropForeignBundles();
  void TellOfBundle(const std::string& name);

  void SyncEarly();
  void OnRequest(const roles::ServeRequest& request);
  void OnWanted(const std::string& entry_id);

  // identity_core_jwt.cc: JWT-SVIDs.
  JwtMinter::Surroundings JwtSurroundings();
  // Whether the request is about them.
  bool OnJwtRequest(const roles::ServeRequest& request);
  void DropJwtSvids(const TrustBundle& bundle);

  void NoteChange() { changed_ = changed_for_stores_ = true; }
  void CommitToServe();
  void NoteReadiness();

  // identity_core_signing.cc: SVIDs.
  void Enqueue(const std::string& entry_id, Urgency urgency, absl::Time expires);
  void PrefetchMore();
  void EvictUnused();
  size_t StoreSvids() const;
  size_t PlacesTaken(const std::string& id) const;
  void DropSvid(const std::string& entry_id);
  bool IsOfOrder(const SigningOrder& order, const StoredEntry& entry) const;
  void BeginSigning();
  void OnSigned(SignedBatch& batch);
  void OnBatchFailed(const absl::Status& why);
  void TakeSvid(SignedSvid& result, Urgency urgency);
  void RetryLater(const SignedSvid& result, Urgency urgency);
  void StopRetrying(const std::string& entry_id);

  absl::Duration Now() const { return around_.clock.SinceBoot(); }

  Options options_;
  Surroundings around_;

  Phase phase_ = Phase::kAttesting;
  std::optional<NodeFacts> node_;
  bool is_stored_svid_ = false;  // Nobody has accepted it since it was loaded.
  absl::Duration attesting_since_;
  absl::Status attestation_error_, renewal_error_;  // Of the last try.
  Backoff attestation_backoff_;
  EventLoop::TimerId attestation_timer_ = 0;
  Rotation rotation_ = Rotation::kNone;
  bool rotate_by_attestation_ = false;
  NodeIdentity::Trust rotate_by_trust_ = NodeIdentity::Trust::kKnown;
  absl::Time rotate_at_ = absl::InfiniteFuture();
  absl::Duration rotate_after_;  // Since boot; not before, for the last try failed.
  Backoff rotation_backoff_;

  uint64_t node_number_ = 0;  // How often the node's SVID was another one.

  std::map<std::string, TrustBundle> bundles_;  // By the name of the trust domain.
  BundleSchedule bundle_schedule_;
  bool bundle_busy_ = false;
  // Those of an upstream that was trusted before: their sequence numbers say nothing.
  std::set<std::string> foreign_numbers_;
  // Since when, after boot, the upstream has had an older bundle than the one here.
  std::map<std::string, absl::Duration> older_since_;
  std::set<std::string> tainted_;  // Key identifiers of the own bundle's authorities.

  EntryStore entries_;
  uint64_t entries_added_ = 0, entries_updated_ = 0, entries_removed_ = 0;
  bool sync_busy_ = false;
  bool status_posted_ = false, status_fails_ = false;
  bool sync_fails_ = false;
  absl::Status sync_error_;
  bool early_sync_wanted_ = false;
  absl::Duration next_sync_, sync_started_, early_gap_;
  Backoff sync_backoff_;
  absl::Time last_sync_ = absl::UnixEpoch();

  SvidStore svids_;
  SigningQueue queue_;
  std::unordered_map<std::string, Urgency> away_;  // Being signed.
  // Authorities that became tainted or were revoked while these, or the node's SVID, were signed.
  std::set<std::string> given_up_;
  // Entries that the upstream did not sign for, and when they are tried again; infinite: under way.
  std::unordered_map<std::string, FailingEntry> failing_;
  std::set<std::pair<absl::Duration, std::string>> retries_;
  absl::Duration sign_after_;
  Backoff signing_backoff_;
  absl::Status signing_error_;

  JwtMinter jwts_;

  std::unique_ptr<ServeLink> serve_;
  ServeReports reports_;
  bool unready_ = false;             // As it is told to serve.
  bool changed_ = false;             // Something that serve has not been told.
  bool changed_for_stores_ = false;  // As that, on_state.
  EventLoop::TimerId timer_ = 0;
};

}  // namespace assay
