// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_svid_stores.h"

#include <algorithm>
#include <utility>

#include "assay/roles.pb.h"
#include "base/log.h"
#include "crypto/der_reader.h"
#include "crypto/digest.h"

namespace assay {
namespace {

constexpr std::string_view kSubsystem = "svid_store_service";

std::vector<std::string> SplitDer(std::string_view der) {
  std::vector<std::string> parts;
  crypto::DerReader reader(der);
  while (!reader.AtEnd()) {
    const absl::StatusOr<crypto::DerElement> element = reader.ReadAny();
    if (!element.ok()) {
      break;
    }
    parts.emplace_back(element->whole);
  }
  return parts;
}

// Each part with its length, so that no two sets of parts give the same text.
void Append(std::string_view part, std::string& text) {
  text += fmt::format("{}:", part.size());
  text += part;
}

std::string DigestOf(const StoredEntry& entry, const StoredSvid& svid) {
  std::string text;
  Append(entry.message(), text);
  Append(fmt::format("{} {}", entry.revision_number, svid.expires_at), text);
  for (const auto* parts : {&svid.chain, &svid.bundle}) {
    Append(std::to_string(parts->size()), text);
    for (const std::string& part : *parts) {
      Append(part, text);
    }
  }
  for (const auto& [trust_domain, bundle] : svid.federated_bundles) {
    Append(trust_domain, text);
    Append(bundle, text);
  }
  return crypto::Digest(crypto::Hash::kSha256, text);
}

}  // namespace

SvidStores::SvidStores(Options options, EventLoop& loop, const Clock& clock)
    : options_(std::move(options)), loop_(loop), clock_(clock) {}

SvidStores::~SvidStores() { loop_.Cancel(timer_); }

void SvidStores::Update(const StateToServe& state) {
  const auto& known = state.entries.for_stores();
  for (const std::string& id : known) {
    Take(state, *state.entries.Find(id));
  }
  for (auto record = records_.begin(); record != records_.end();) {
    auto& [id, gone] = *record;
    const bool is_gone = !known.contains(id);
    if (is_gone && !gone.held.has_value() && !gone.is_busy) {
      record = records_.erase(record);
      continue;
    }
    if (is_gone && !gone.is_gone) {
      gone.is_gone = true;
      ++gone.revision;
      gone.not_before = -absl::InfiniteDuration();
    }
    ++record;
  }
  Step();
}

void SvidStores::Take(const StateToServe& state, const StoredEntry& entry) {
  const auto [at, is_new] = records_.try_emplace(std::string(entry.id()));
  Record& record = at->second;
  roles::Entry parsed;
  const std::string_view message = entry.message();
  parsed.ParseFromArray(message.data(), static_cast<int>(message.size()));
  record.spiffe_id = parsed.spiffe_id();
  SetPlace(parsed, record);
  if (is_new && HasStore(record)) {
    record.held = record.place;
  }
  const ReadySvid* svid = state.svids.Find(entry.id());
  if (svid == nullptr) {
    // What was put stays until there is another; what has expired meanwhile is not put any more.
    record.is_gone = false;
    record.svid = nullptr;
    record.digest.clear();
    return;
  }
  std::shared_ptr<const StoredSvid> made = MakeSvid(state, parsed, *svid);
  std::string digest = DigestOf(entry, *made);
  if (digest == record.digest && !record.is_gone) {
    return;
  }
  record.is_gone = false;
  record.digest = std::move(digest);
  record.svid = std::move(made);
  ++record.revision;
  record.not_before = -absl::InfiniteDuration();
  record.backoff.Reset();
}

void SvidStores::SetPlace(const roles::Entry& entry, Record& record) {
  record.place = {};
  record.place_error = absl::OkStatus();
  for (const roles::Selector& selector : entry.selectors()) {
    if (record.place.store.empty()) {
      record.place.store = selector.type();
    } else if (record.place.store != selector.type()) {
      record.place_error = InvalidArgument("selector contains multiple types");
    }
    record.place.metadata.push_back(selector.value());
  }
  if (record.place.store.empty()) {
    record.place_error = InvalidArgument("no selectors found");
  }
}

bool SvidStores::HasStore(const Record& record) const {
  return record.place_error.ok() && options_.stores.contains(record.place.store);
}

std::shared_ptr<const StoredSvid> SvidStores::MakeSvid(const StateToServe& state,
                                                       const roles::Entry& entry,
                                                       const ReadySvid& svid) const {
  auto made = std::make_shared<StoredSvid>();
  made->spiffe_id = entry.spiffe_id();
  made->chain = SplitDer(svid.chain);
  made->key = svid.key.Clone();
  made->expires_at = absl::ToUnixSeconds(svid.expires);
  if (const auto own = state.bundles.find(options_.trust_domain); own != state.bundles.end()) {
    for (const X509Authority& authority : own->second.x509_authorities) {
      made->bundle.emplace_back(authority.certificate.der());
    }
  }
  for (const std::string& trust_domain : entry.federates_with()) {
    const auto bundle = state.bundles.find(trust_domain);
    if (bundle != state.bundles.end() && trust_domain != options_.trust_domain) {
      made->federated_bundles[bundle->second.trust_domain.IdString()] = bundle->second.X509Der();
    }
  }
  return made;
}

void SvidStores::OnRestart(const std::string& store) {
  for (auto& [id, record] : records_) {
    if (record.held.has_value() && record.held->store == store && !record.is_gone) {
      ++record.revision;
      record.not_before = -absl::InfiniteDuration();
    }
  }
  Step();
}

SvidStores::Records::iterator SvidStores::LetGo(Records::iterator at) {
  at->second.held.reset();
  return at->second.is_gone ? records_.erase(at) : at;
}

bool SvidStores::IsDue(const Record& record) const {
  return record.revision != record.handled && (record.svid != nullptr || record.is_gone);
}

void SvidStores::Step() {
  loop_.Cancel(std::exchange(timer_, 0));
  const absl::Duration now = clock_.SinceBoot();
  absl::Duration next = absl::InfiniteDuration();
  for (auto at = records_.begin(); at != records_.end();) {
    const auto here = at++;
    auto& [id, record] = *here;
    if (record.is_busy || !IsDue(record)) {
      continue;
    }
    if (record.not_before > now) {
      next = std::min(next, record.not_before);
      continue;
    }
    const bool leaves = Leaves(record);
    if (!leaves && !HasStore(record)) {
      Refuse(id, record);
      continue;
    }
    if (busy_.contains(leaves ? record.held->store : record.place.store)) {
      continue;
    }
    if (const auto stays = leaves ? StaysIn(*record.held) : records_.end();
        stays != records_.end()) {
      if (stays->second.stored > record.put) {
        at = LetGo(here);
        continue;
      }
      if (stays->second.put <= record.put) {
        stays->second.revision += IsDue(stays->second) ? 0 : 1;
        Begin(stays->first, stays->second);
        continue;
      }
      // Who stays was put in vain: what is there is deleted, and who stays is put after that.
    }
    Begin(id, record);
  }
  if (next != absl::InfiniteDuration()) {
    timer_ = loop_.After(next - now, [this] {
      timer_ = 0;
      Step();
    });
  }
}

void SvidStores::Refuse(const std::string& id, Record& record) {
  if (!record.place_error.ok()) {
    log::Error("Invalid store name in selectors", {{"entry", id},
                                                   {"error", record.place_error},
                                                   {"spiffe_id", record.spiffe_id},
                                                   {"subsystem_name", kSubsystem}});
  } else {
    log::Error("Error storing SVID: SVIDStore not found", {{"entry", id},
                                                           {"spiffe_id", record.spiffe_id},
                                                           {"subsystem_name", kSubsystem},
                                                           {"svid_store", record.place.store}});
  }
  record.handled = record.revision;
}

bool SvidStores::Leaves(const Record& record) const {
  return record.held.has_value() &&
         (record.is_gone || !HasStore(record) || *record.held != record.place);
}

SvidStores::Records::iterator SvidStores::StaysIn(const Place& place) {
  auto best = records_.end();
  for (auto at = records_.begin(); at != records_.end(); ++at) {
    const Record& record = at->second;
    if (record.svid != nullptr && record.held == place && !Leaves(record) &&
        (best == records_.end() ||
         std::pair(record.stored, record.put) > std::pair(best->second.stored, best->second.put))) {
      best = at;
    }
  }
  return best;
}

SvidStores::Job SvidStores::NextJob(const std::string& id, const Record& record) const {
  if (Leaves(record)) {
    return {id, record.revision, /*puts=*/false, *record.held, nullptr};
  }
  return {id, record.revision, /*puts=*/true, record.place, record.svid};
}

void SvidStores::Begin(const std::string& id, Record& record) {
  record.is_busy = true;
  const Job job = NextJob(id, record);
  busy_.insert(job.place.store);
  options_.run([this, job, store = options_.stores.at(job.place.store).get()] {
    const absl::Status done =
        job.puts ? store->Put(*job.svid, job.place.metadata) : store->Delete(job.place.metadata);
    loop_.Post([this, job, done] { OnDone(job, done); });
  });
}

void SvidStores::OnDone(const Job& job, const absl::Status& done) {
  busy_.erase(job.place.store);
  Record& record = records_.at(job.id);
  record.is_busy = false;
  if (job.puts) {
    OnPut(job, record, done);
  } else {
    OnDeleted(job, record, done);
  }
  if (record.is_gone && !record.held.has_value()) {
    records_.erase(job.id);
  }
  Step();
}

void SvidStores::OnPut(const Job& job, Record& record, const absl::Status& put) {
  log::Write(put.ok() ? log::Level::kDebug : log::Level::kError,
             put.ok() ? "SVID stored successfully" : "Failed to put X509-SVID",
             {{"entry", job.id},
              {put.ok() ? "" : "error", put},
              {"revision_number", job.revision},
              {"spiffe_id", record.spiffe_id},
              {"subsystem_name", kSubsystem},
              {"svid_store", job.place.store}});
  // Of one that failed the store may have it all the same.
  if (record.held != job.place) {
    record.stored = 0;
  }
  record.held = job.place;
  record.put = ++puts_;
  if (put.ok()) {
    record.stored = record.put;
    record.handled = job.revision;
    record.backoff.Reset();
  } else {
    RetryLater(record);
  }
}

void SvidStores::OnDeleted(const Job& job, Record& record, const absl::Status& deleted) {
  const bool is_nowhere = absl::IsInvalidArgument(deleted) || absl::IsNotFound(deleted);
  const bool is_out = deleted.ok() || is_nowhere;
  log::Write(is_out ? log::Level::kDebug : log::Level::kError,
             deleted.ok()                ? "SVID deleted successfully"
             : absl::IsNotFound(deleted) ? "SVID was not in the store"
             : absl::IsInvalidArgument(deleted)
                 ? "Failed to delete SVID because of malformed selectors"
                 : "Failed to delete SVID",
             {{"entry", job.id},
              {deleted.ok() ? "" : "error", deleted},
              {"spiffe_id", record.spiffe_id},
              {"subsystem_name", kSubsystem},
              {"svid_store", job.place.store}});
  if (!is_out && record.is_gone) {
    RetryLater(record);
    return;
  }
  // As the reference: when that failed, what is new is put all the same, and the old place is left.
  record.held.reset();
}

void SvidStores::RetryLater(Record& record) {
  record.not_before = clock_.SinceBoot() + record.backoff.Next(options_.random);
}

}  // namespace assay
