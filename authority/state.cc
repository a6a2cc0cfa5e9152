// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/state.h"

#include "base/files.h"
#include "base/log.h"

namespace assay {
namespace {

constexpr double kAttestationsPerSecond = 1;
constexpr double kSignaturesPerSecond = 500;
constexpr double kStatusesPerSecond = 10;
constexpr double kBooksPerSecond = 0.5;
constexpr double kBooksAtOnce = 2;
// Milliseconds each, and what a node shows in memory.
constexpr WaitingRoom::Limits kVerifying = {.requests_of_one = 16, .requests = 64};

}  // namespace

absl::StatusOr<std::unique_ptr<State>> State::Open(const AuthorityOptions& options,
                                                   const Clock& clock, EventLoop& loop) {
  RETURN_IF_ERROR(MakeFolders(options.data_dir, 0700));
  KeyFolder keys = KeyFolder::None();
  if (options.keys_on_disk) {
    ASSIGN_OR_RETURN(keys, KeyFolder::Create(options.data_dir + "/keys"));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store,
                   Store::Open(options.data_dir + "/datastore.sqlite3", options.trust_domain));
  auto state = std::make_unique<State>(options, clock, loop, std::move(store), std::move(keys));
  RETURN_IF_ERROR(state->Load());
  return state;
}

std::vector<SigningAuthority::Kind> State::KindsOf(const AuthorityOptions& options) {
  using Kind = SigningAuthority::Kind;
  return options.disable_jwt_svids ? std::vector{Kind::kX509}
                                   : std::vector{Kind::kX509, Kind::kJwt};
}

State::State(const AuthorityOptions& authority_options, const Clock& a_clock, EventLoop& a_loop,
             std::unique_ptr<Store> a_store, KeyFolder key_folder)
    : options(authority_options),
      clock(a_clock),
      loop(a_loop),
      store(std::move(a_store)),
      keys(std::move(key_folder)),
      entries(options.trust_domain),
      authorized(entries),
      ca(KindsOf(options)),
      attest_limit(clock, kAttestationsPerSecond),
      csr_limit(clock, kSignaturesPerSecond),
      jwt_limit(clock, kSignaturesPerSecond),
      status_limit(clock, kStatusesPerSecond),
      authorized_limit(clock, kBooksPerSecond, kBooksAtOnce),
      verifying(kVerifying),
      refusals(loop, "caller_host"),
      changes(loop, storage, *store) {
  if (options.node_verifiers.http_challenge.has_value()) {
    outside.emplace(loop);
  }
}

absl::Status State::Load() {
  ASSIGN_OR_RETURN(Store::Contents contents, store->Load());
  for (RegistrationEntry& entry : contents.entries) {
    entries.Put(std::move(entry));
  }
  for (Node& node : contents.nodes) {
    nodes.Put(std::move(node));
  }
  for (JoinToken& token : contents.tokens) {
    tokens.Put(std::move(token));
  }
  bundles.Put(TrustBundle{options.trust_domain, {}, {}, {}, {}});
  for (TrustBundle& bundle : contents.bundles) {
    bundles.Put(std::move(bundle));
  }
  for (SigningAuthority& authority : contents.authorities) {
    if (authority.stage != SigningAuthority::Stage::kOld) {
      absl::StatusOr<std::shared_ptr<const crypto::PrivateKey>> key = keys.Load(authority);
      if (key.ok()) {
        authority.key = *std::move(key);
      } else {
        // What it signed stays valid, but it signs no more: another takes its place.
        log::Write(options.keys_on_disk ? log::Level::kError : log::Level::kInfo,
                   "lost the key of a signing authority",
                   {{"authority_id", authority.id},
                    {"kind", ToString(authority.kind)},
                    {"error", key.status()}});
        authority.stage = SigningAuthority::Stage::kOld;
      }
    }
    ca.Put(std::move(authority));
  }
  return absl::OkStatus();
}

}  // namespace assay
