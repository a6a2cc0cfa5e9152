// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_serve_link.h"

#include <utility>

#include "agent/roles.h"
#include "assay/roles.pb.h"
#include "base/log.h"
#include "workload-api/jwt_svid_key_convert.h"

namespace assay {
namespace {

// Room for the fields around the items of a packet.
constexpr size_t kMostPacketBytes = Channel::kMaxMessageBytes - 1024;
// Of the agent's own certificates; a longer chain is not told.
constexpr size_t kMostChainBytes = 32 << 10;
// Around each item: its tag and its length.
constexpr size_t kItemOverhead = 16;
constexpr size_t kMostQueuedBytes = 1 << 20;
constexpr size_t kMostJwtBytes = 16 << 20;  // Of answers that serve has not read.
constexpr absl::Duration kPumpInterval = absl::Milliseconds(2);

// Adds the names to the packet while they fit and takes them from the set.
template <typename Add>
bool Drain(std::set<std::string>& names, const Add& add) {
  while (!names.empty()) {
    if (!add(*names.begin())) {
      return false;
    }
    names.erase(names.begin());
  }
  return true;
}

size_t SizeOf(const JwtNews& news) {
  size_t size = news.key.entry_id.size() + news.error.size() + 4 * kItemOverhead;
  for (const std::string& audience : news.key.audience) {
    size += audience.size() + kItemOverhead;
  }
  if (news.svid.has_value()) {
    size += news.svid->spiffe_id.size() + news.svid->token.size() + news.svid->key_id.size() +
            4 * kItemOverhead;
  }
  return size;
}

bool IsRemoval(const JwtNews& news) { return !news.svid.has_value() && news.error.empty(); }

// Removals are free: each takes back what was counted, or has a place in the cache.
size_t BytesHeld(const JwtNews& news) { return IsRemoval(news) ? 0 : sizeof(news) + SizeOf(news); }

void Add(const JwtNews& news, roles::JwtChange& change) {
  if (news.svid.has_value()) {
    roles::JwtSvid& added = *change.add_svids();
    Fill(news.key, *added.mutable_key());
    added.set_request(news.request);
    added.set_spiffe_id(news.svid->spiffe_id);
    added.set_token(std::string(news.svid->token.Reveal()));
    added.set_key_id(news.svid->key_id);
    added.set_expires_at(absl::ToUnixSeconds(news.svid->expires));
    added.set_late_at(absl::ToUnixSeconds(news.svid->late));
  } else if (!news.error.empty()) {
    roles::JwtFailure& added = *change.add_failures();
    Fill(news.key, *added.mutable_key());
    added.set_request(news.request);
    added.set_error(news.error);
  } else {
    Fill(news.key, *change.add_removed());
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServeLink>> ServeLink::Create(EventLoop& loop, UniqueFd channel,
                                                             const StateToServe& state,
                                                             OnRequest on_request,
                                                             OnClosed on_closed) {
  std::unique_ptr<ServeLink> link(
      new ServeLink(loop, state, std::move(on_request), std::move(on_closed)));
  ServeLink* raw = link.get();
  ASSIGN_OR_RETURN(link->channel_,
                   Channel::Create(
                       loop, std::move(channel),
                       [raw](std::string_view bytes, UniqueFd fd) { raw->OnMessage(bytes, fd); },
                       [raw](const absl::Status& why) { raw->Close(why); }));
  return link;
}

ServeLink::ServeLink(EventLoop& loop, const StateToServe& state, OnRequest on_request,
                     OnClosed on_closed)
    : loop_(loop),
      state_(state),
      on_request_(std::move(on_request)),
      on_closed_(std::move(on_closed)) {
  for (const auto& id : state_.svids.Ids()) {
    if (!IsForStore(id)) {
      svids_.insert(id);
    }
  }
  for (const auto& [name, bundle] : state_.bundles) {
    bundles_.insert(name);
  }
  if (state_.jwt_svids != nullptr) {
    for (const JwtSvidKey& key : state_.jwt_svids->Keys()) {
      jwts_.push_back({.key = key, .request = 0, .svid = state_.jwt_svids->Find(key)->Clone()});
      jwt_bytes_ += BytesHeld(jwts_.back());
    }
  }
  most_jwt_bytes_ = jwt_bytes_ + kMostJwtBytes;
}

ServeLink::~ServeLink() {
  *alive_ = false;
  loop_.Cancel(timer_);
}

void ServeLink::Close(const absl::Status& why) {
  if (std::exchange(closed_, true)) {
    return;
  }
  loop_.Post([this, alive = alive_, why] {
    if (*alive) {
      const OnClosed on_closed = on_closed_;
      on_closed(why);
    }
  });
}

void ServeLink::OnMessage(std::string_view bytes, const UniqueFd& fd) {
  if (closed_) {
    return;
  }
  roles::ServeRequest request;
  absl::Status permitted =
      request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) && !fd.valid()
          ? CheckPermitted(roles::SERVE, roles::IDENTITY, request.what_case())
          : InvalidArgument("a message that does not parse, or with a descriptor");
  if (permitted.ok()) {
    on_request_(request);
  } else {
    Close(WithContext(permitted, "the serve role broke the rules"));
  }
}

void ServeLink::Commit(Told told) {
  commit_ = true;
  told_ = std::move(told);
  if (told_.agent_chain.size() > kMostChainBytes) {
    log::Error("Agent's SVID is too large to be told of", {{"bytes", told_.agent_chain.size()}});
    told_.agent_chain.clear();
  }
  if (timer_ == 0) {
    Pump();
  }
}

void ServeLink::AskReport(uint64_t number) {
  roles::StateChange question;
  question.set_report(number);
  // Behind what serve has not read yet: who does not read does not answer either.
  if (closed_ || channel_->queued_bytes() >= kMostQueuedBytes) {
    return;
  }
  if (absl::Status sent = channel_->Send(question); !sent.ok()) {
    Close(sent);
  }
}

void ServeLink::Drop() {
  loop_.Cancel(timer_);
  timer_ = 0;
  commit_ = false;
  roles::StateChange packet;
  packet.set_reset(true);
  packet.set_commit(true);
  if (absl::Status sent = channel_->Send(packet); !sent.ok()) {
    log::Error("Telling the serve role to forget failed", {{"error", sent}});
  }
}

void ServeLink::Tell(JwtNews news) {
  jwt_bytes_ += BytesHeld(news);
  if (jwt_bytes_ > most_jwt_bytes_) {
    Close(ResourceExhausted("the serve role asks for JWT-SVIDs and does not read the answers"));
    return;
  }
  jwts_.push_back(std::move(news));
  if (timer_ == 0) {
    Pump();
  }
}

void ServeLink::Pump() {
  timer_ = 0;
  PumpJwts();
  PumpState();
  if ((commit_ || !jwts_.empty()) && !closed_) {
    timer_ = loop_.After(kPumpInterval, [this] { Pump(); });
  }
}

void ServeLink::PumpJwts() {
  while (!jwts_.empty() && !closed_ && channel_->queued_bytes() < kMostQueuedBytes) {
    roles::StateChange packet;
    roles::JwtChange& change = *packet.mutable_jwts();
    // What goes in a packet goes before what comes in it: in the order of events they are apart.
    for (packet_bytes_ = 0; !jwts_.empty() && Fits(SizeOf(jwts_.front())); jwts_.pop_front()) {
      if (IsRemoval(jwts_.front()) && change.svids_size() > 0) {
        break;
      }
      jwt_bytes_ -= BytesHeld(jwts_.front());
      Add(jwts_.front(), change);
    }
    const absl::Status sent = channel_->Send(packet);
    for (roles::JwtSvid& svid : *packet.mutable_jwts()->mutable_svids()) {
      Wipe(svid.mutable_token()->data(), svid.token().size());
    }
    if (!sent.ok()) {
      Close(sent);
    }
  }
}

void ServeLink::PumpState() {
  while (commit_ && !closed_ && channel_->queued_bytes() < kMostQueuedBytes) {
    roles::StateChange packet;
    packet.set_reset(std::exchange(reset_, false));
    packet_bytes_ = 0;
    // In a packet of its own where the last one is full.
    if (Fill(packet) &&
        (packet_bytes_ == 0 || packet_bytes_ + told_.agent_chain.size() <= kMostPacketBytes)) {
      packet.set_commit(true);
      packet.set_last_sync(absl::ToUnixSeconds(told_.last_sync));
      packet.set_agent_chain(told_.agent_chain);
      packet.set_store_svids(told_.store_svids);
      packet.set_unready(told_.unready);
      commit_ = false;
    }
    const absl::Status sent = channel_->Send(packet);
    for (roles::Svid& svid : *packet.mutable_svids()) {
      Wipe(svid.mutable_key()->data(), svid.key().size());
    }
    if (!sent.ok()) {
      Close(sent);
    }
  }
}

// Whether all that is to be told is in the packet.
bool ServeLink::Fill(roles::StateChange& packet) {
  return FillFromPlaces(packet) &&
         Drain(entries_, [&](const std::string& id) { return AddEntry(id, packet); }) &&
         Drain(svids_, [&](const std::string& id) { return AddSvid(id, packet); }) &&
         Drain(bundles_, [&](const std::string& name) { return AddBundle(name, packet); });
}

bool ServeLink::Fits(size_t size) {
  if (packet_bytes_ > 0 && packet_bytes_ + size + kItemOverhead > kMostPacketBytes) {
    return false;
  }
  packet_bytes_ += size + kItemOverhead;
  return true;
}

bool ServeLink::FillFromPlaces(roles::StateChange& packet) {
  for (; next_place_ < state_.entries.places(); ++next_place_) {
    const StoredEntry* entry = state_.entries.At(next_place_);
    if (entry != nullptr && !entry->for_store && !AddEntry(std::string(entry->id()), packet)) {
      return false;
    }
  }
  return true;
}

bool ServeLink::AddEntry(const std::string& id, roles::StateChange& packet) {
  const StoredEntry* entry = IsForStore(id) ? nullptr : state_.entries.Find(id);
  const std::string_view bytes = entry == nullptr ? std::string_view() : entry->message();
  const bool is_large = bytes.size() > kMostPacketBytes;
  if (entry == nullptr || is_large) {
    if (!Fits(id.size())) {
      return false;
    }
    if (is_large) {
      log::Error("Entry is too large to be served", {{"entry", id}, {"bytes", bytes.size()}});
    }
    packet.add_removed_entries(id);
    return true;
  }
  if (!Fits(bytes.size())) {
    return false;
  }
  packet.add_entries()->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  return true;
}

bool ServeLink::AddSvid(const std::string& id, roles::StateChange& packet) {
  const ReadySvid* svid = IsForStore(id) ? nullptr : state_.svids.Find(id);
  const size_t size =
      svid == nullptr ? 0 : id.size() + svid->chain.size() + svid->key.size() + 2 * kItemOverhead;
  const bool is_large = size > kMostPacketBytes;
  if (svid == nullptr || is_large) {
    if (!Fits(id.size())) {
      return false;
    }
    if (is_large) {
      log::Error("X509-SVID is too large to be served", {{"entry", id}, {"bytes", size}});
    }
    packet.add_removed_svids(id);
    return true;
  }
  if (!Fits(size)) {
    return false;
  }
  roles::Svid& added = *packet.add_svids();
  added.set_entry_id(id);
  added.set_chain(svid->chain);
  added.set_key(std::string(svid->key.Reveal()));
  added.set_expires_at(absl::ToUnixSeconds(svid->expires));
  return true;
}

bool ServeLink::AddBundle(const std::string& trust_domain, roles::StateChange& packet) {
  const auto at = state_.bundles.find(trust_domain);
  const bool is_known = at != state_.bundles.end();
  roles::Bundle bundle;
  if (is_known) {
    bundle.set_trust_domain(trust_domain);
    bundle.set_x509_authorities(at->second.X509Der());
    for (const JwtAuthority& authority : at->second.jwt_authorities) {
      roles::JwtAuthority& added = *bundle.add_jwt_authorities();
      added.set_key_id(authority.key_id);
      added.set_public_key(authority.public_key.spki());
      added.set_tainted(authority.tainted);
    }
  }
  const size_t size = bundle.ByteSizeLong();
  const bool is_large = size > kMostPacketBytes;
  if (!is_known || is_large) {
    if (!Fits(trust_domain.size())) {
      return false;
    }
    if (is_large) {
      log::Error("Trust bundle is too large to be served",
                 {{"trust_domain_id", at->second.trust_domain.IdString()}, {"bytes", size}});
    }
    packet.add_removed_bundles(trust_domain);
    return true;
  }
  if (!Fits(size)) {
    return false;
  }
  *packet.add_bundles() = std::move(bundle);
  return true;
}

}  // namespace assay
