// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/entry_service.h"

#include <functional>

#include "authority/entry_changes.h"
#include "authority/entry_convert.h"
#include "authority/entry_sync.h"
#include "authority/id_convert.h"
#include "authority/method.h"
#include "authority/set_match.h"
#include "base/log.h"
#include "spire/api/server/entry/v1/entry.pb.h"

namespace assay {

namespace entry = spire::api::server::entry::v1;
namespace types = spire::api::types;

namespace {

// 500 IDs of 255 bytes, and room.
constexpr size_t kMaxSyncBytes = 256 << 10;

// Count and list have filters of the same fields in two messages.
struct EntryFilter {
  std::optional<SpiffeId> spiffe_id, parent_id;
  std::optional<std::vector<Selector>> selectors;
  SetMatch selector_match = SetMatch::kExact;
  std::optional<std::vector<TrustDomain>> federates_with;
  SetMatch federates_match = SetMatch::kExact;
  std::optional<std::string> hint;
  std::optional<bool> downstream;

  bool Passes(const RegistrationEntry& candidate) const;
};

bool EntryFilter::Passes(const RegistrationEntry& candidate) const {
  if (federates_with.has_value()) {
    std::vector<TrustDomain> others = candidate.federates_with;
    std::sort(others.begin(), others.end());
    if (!assay::Passes(federates_match, *federates_with, others)) {
      return false;
    }
  }
  return (!spiffe_id.has_value() || candidate.spiffe_id == *spiffe_id) &&
         (!parent_id.has_value() || candidate.parent_id == *parent_id) &&
         (!selectors.has_value() ||
          assay::Passes(selector_match, *selectors, candidate.selectors)) &&
         (!hint.has_value() || candidate.hint == *hint) &&
         (!downstream.has_value() || candidate.downstream == *downstream);
}

absl::Status Malformed(std::string_view filter, const absl::Status& why) {
  return ApiError(absl::StatusCode::kInvalidArgument, fmt::format("malformed {} filter", filter),
                  why);
}

template <typename Filter>
absl::Status ParseIds(const State& state, const Filter& sent, EntryFilter& filter) {
  if (sent.has_by_parent_id()) {
    absl::StatusOr<SpiffeId> id = ParseMemberId(state.options.trust_domain, sent.by_parent_id());
    if (!id.ok()) {
      return Malformed("parent ID", id.status());
    }
    filter.parent_id = *std::move(id);
  }
  if (sent.has_by_spiffe_id()) {
    absl::StatusOr<SpiffeId> id = ParseWorkloadId(state.options.trust_domain, sent.by_spiffe_id());
    if (!id.ok()) {
      return Malformed("SPIFFE ID", id.status());
    }
    filter.spiffe_id = *std::move(id);
  }
  return absl::OkStatus();
}

absl::Status ParseFederatesWith(const types::FederatesWithMatch& sent, EntryFilter& filter) {
  if (sent.trust_domains().empty()) {
    return Malformed("federates with", InvalidArgument("empty trust domain set"));
  }
  std::vector<TrustDomain> trust_domains;
  for (const std::string& name : sent.trust_domains()) {
    absl::StatusOr<TrustDomain> parsed = ParseTrustDomain(name);
    if (!parsed.ok()) {
      return Malformed("federates with", parsed.status());
    }
    trust_domains.push_back(*std::move(parsed));
  }
  std::sort(trust_domains.begin(), trust_domains.end());
  filter.federates_with = std::move(trust_domains);
  filter.federates_match = static_cast<SetMatch>(sent.match());
  return absl::OkStatus();
}

template <typename Filter>
absl::StatusOr<EntryFilter> ParseFilter(const State& state, const Filter& sent) {
  EntryFilter filter;
  RETURN_IF_ERROR(ParseIds(state, sent, filter));
  if (sent.has_by_selectors()) {
    if (sent.by_selectors().selectors().empty()) {
      return Malformed("selectors", InvalidArgument("empty selector set"));
    }
    auto selectors = ParseSelectors(sent.by_selectors().selectors());
    if (!selectors.ok()) {
      return Malformed("selectors", selectors.status());
    }
    filter.selectors = *std::move(selectors);
    filter.selector_match = static_cast<SetMatch>(sent.by_selectors().match());
  }
  if (sent.has_by_federates_with()) {
    RETURN_IF_ERROR(ParseFederatesWith(sent.by_federates_with(), filter));
  }
  if (sent.has_by_hint()) {
    filter.hint = sent.by_hint().value();
  }
  if (sent.has_by_downstream()) {
    filter.downstream = sent.by_downstream().value();
  }
  return filter;
}

void Count(State& state, const entry::CountEntriesRequest& request,
           const rpc::Responder& responder) {
  const absl::StatusOr<EntryFilter> filter = ParseFilter(state, request.filter());
  if (!filter.ok()) {
    responder.Fail(filter.status());
    return;
  }
  int count = 0;
  for (const auto& [id, candidate] : state.entries.all()) {
    count += filter->Passes(*candidate) ? 1 : 0;
  }
  entry::CountEntriesResponse response;
  response.set_count(count);
  responder.Reply(response);
}

void List(State& state, const entry::ListEntriesRequest& request, const rpc::Responder& responder) {
  const absl::StatusOr<EntryFilter> filter = ParseFilter(state, request.filter());
  if (!filter.ok()) {
    responder.Fail(filter.status());
    return;
  }
  const auto& mask = request.has_output_mask() ? request.output_mask() : AllOfEntry();
  entry::ListEntriesResponse response;
  const auto& entries = state.entries.all();
  for (auto it = entries.upper_bound(request.page_token()); it != entries.end(); ++it) {
    if (filter->Passes(*it->second)) {
      if (request.page_size() > 0 && response.entries_size() == request.page_size()) {
        response.set_next_page_token(std::prev(it)->second->id);
        break;
      }
      ToProto(*it->second, mask, response.add_entries());
    }
  }
  responder.Reply(response);
}

void Get(State& state, const entry::GetEntryRequest& request, const rpc::Responder& responder) {
  if (request.id().empty()) {
    responder.Fail(InvalidArgument("missing ID"));
    return;
  }
  const EntryPtr found = state.entries.Find(request.id());
  if (found == nullptr) {
    responder.Fail(NotFound("entry not found"));
    return;
  }
  types::Entry response;
  ToProto(*found, request.has_output_mask() ? request.output_mask() : AllOfEntry(), &response);
  responder.Reply(response);
}

// A whole book at once, so an agent has one of them unread at a time; calls that ask the same share
// it.
void GetAuthorized(State& state, const entry::GetAuthorizedEntriesRequest& request,
                   const rpc::Responder& responder) {
  rpc::Call& call = *responder.call();
  const AuthorizedEntries::View view = AuthorizedFor(state, call.peer());
  const auto& mask = request.has_output_mask() ? request.output_mask() : AllOfEntry();
  std::weak_ptr<const AuthorizedBook>& last =
      state.authorized_books[CallerId(call.peer())->ToString()];
  std::shared_ptr<const AuthorizedBook> book = last.lock();
  if (book == nullptr) {
    entry::GetAuthorizedEntriesResponse response;
    for (const EntryPtr& authorized : *view) {
      ToProto(*authorized, mask, response.add_entries());
    }
    book = std::make_shared<const AuthorizedBook>(view, mask.SerializeAsString(), response);
    last = book;
  } else if (book->view != view || book->mask != mask.SerializeAsString()) {
    responder.Fail(ResourceExhausted("the entries that were sent before are still unread"));
    return;
  }
  call.Send(rpc::SharedFrame(book, &book->frame));
  call.Finish(absl::OkStatus());
}

}  // namespace

void AddEntryMethods(State& state, Gate& gate, rpc::Registry& registry) {
  const auto add = [&](std::string_view name, const Rule& rule, rpc::MakeHandler make) {
    gate.Add(registry, fmt::format("/spire.api.server.entry.v1.Entry/{}", name), rule,
             std::move(make));
  };
  add("CountEntries", OperatorsOnly(), Method<entry::CountEntriesRequest>(state, Count));
  add("ListEntries", OperatorsOnly(), Method<entry::ListEntriesRequest>(state, List));
  add("GetEntry", OperatorsOnly(), Method<entry::GetEntryRequest>(state, Get));
  add("BatchCreateEntry", OperatorsOnly(),
      Method<entry::BatchCreateEntryRequest>(state, CreateEntries));
  add("BatchUpdateEntry", OperatorsOnly(),
      Method<entry::BatchUpdateEntryRequest>(state, UpdateEntries));
  add("BatchDeleteEntry", OperatorsOnly(),
      Method<entry::BatchDeleteEntryRequest>(state, DeleteEntries));
  add("GetAuthorizedEntries",
      {.access = Access::kAgent,
       .rate = {.limit = &state.authorized_limit,
                .rejection = "rejecting request due to authorized entries rate limiting",
                .key = RateRule::Key::kAgent}},
      Method<entry::GetAuthorizedEntriesRequest>(state, GetAuthorized));
  add("SyncAuthorizedEntries", {.access = Access::kAgent, .max_request_bytes = kMaxSyncBytes},
      [&state](rpc::Call& call) { return MakeEntrySync(state, call); });
}

void PruneEntries(State& state) {
  const auto ended = std::make_shared<std::vector<std::string>>();
  state.changes.Add(
      {.plan = [&state, ended]() -> absl::StatusOr<ChangeQueue::Write> {
         const int64_t now = state.UnixNow();
         for (const auto& [id, candidate] : state.entries.all()) {
           if (candidate->expires_at != 0 && candidate->expires_at <= now) {
             ended->push_back(candidate->id);
           }
         }
         if (ended->empty()) {
           return ChangeQueue::Write();
         }
         return ChangeQueue::Write([ended](Store& store) {
           for (const std::string& id : *ended) {
             RETURN_IF_ERROR(store.EraseEntry(id));
           }
           return absl::OkStatus();
         });
       },
       .done =
           [&state, ended](const absl::Status& outcome) {
             for (const std::string& id : *ended) {
               if (outcome.ok()) {
                 state.entries.Erase(id);
                 log::Info("entry pruned, for it has expired", {{"registration_id", id}});
               }
             }
           }});
}

}  // namespace assay
