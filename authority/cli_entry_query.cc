// SPDX-License-Identifier: GPL-3.0-or-later
// entry show and count.
#include <algorithm>
#include <ostream>
#include <tuple>

#include "authority/cli_client.h"
#include "authority/cli_command.h"
#include "authority/cli_output.h"
#include "spire/api/server/entry/v1/entry.grpc.pb.h"

namespace assay {
namespace {

namespace types = spire::api::types;
namespace entry_api = spire::api::server::entry::v1;
using EntryStub = entry_api::Entry::Stub;

constexpr int kPageSize = 500;

absl::StatusOr<int> ParseMatch(std::string_view text) {
  constexpr std::pair<std::string_view, int> kMatches[] = {
      {"exact", types::SelectorMatch::MATCH_EXACT},
      {"subset", types::SelectorMatch::MATCH_SUBSET},
      {"superset", types::SelectorMatch::MATCH_SUPERSET},
      {"any", types::SelectorMatch::MATCH_ANY}};
  for (const auto& [name, match] : kMatches) {
    if (text == name) {
      return match;
    }
  }
  return InvalidArgument("match behavior {} unknown", GoQuoted(text));
}

// The flags that choose entries.
struct EntryFilter {
  std::string parent_id, spiffe_id, hint;
  std::string match_selectors = "superset";
  std::string match_federates_with = "superset";
  std::vector<std::string> selectors, federates_with;
  bool downstream = false;

  void AddTo(Arguments& flags);
  // Fills the filter of a list or of a count, which are alike and yet two types.
  template <typename Filter>
  absl::Status Fill(Filter& filter) const;
};

void EntryFilter::AddTo(Arguments& flags) {
  constexpr std::string_view kModes = "exact, any, superset or subset";
  flags.Add("parentID", parent_id, "The parent ID of the entries");
  flags.Add("spiffeID", spiffe_id, "The SPIFFE ID of the entries");
  flags.Add("downstream", downstream, "Only entries of nested upstreams");
  flags.Add("selector", selectors, "A selector, type:value. Can be used more than once");
  flags.Add("federatesWith", federates_with,
            "SPIFFE ID of a trust domain that the entries federate with. Can be used more than "
            "once");
  flags.Add("matchSelectorsOn", match_selectors, fmt::format("How selectors match: {}", kModes));
  flags.Add("matchFederatesWithOn", match_federates_with,
            fmt::format("How federated trust domains match: {}", kModes));
  flags.Add("hint", hint, "The hint of the entries");
}

absl::StatusOr<types::SPIFFEID> ParseFilterId(std::string_view what, const std::string& text) {
  auto id = ParseIdFlag(text);
  if (!id.ok()) {
    return WithContext(id.status(), fmt::format("error parsing {} {}", what, GoQuoted(text)));
  }
  return id;
}

template <typename Filter>
absl::Status EntryFilter::Fill(Filter& filter) const {
  if (!parent_id.empty()) {
    ASSIGN_OR_RETURN(*filter.mutable_by_parent_id(), ParseFilterId("parent ID", parent_id));
  }
  if (!spiffe_id.empty()) {
    ASSIGN_OR_RETURN(*filter.mutable_by_spiffe_id(), ParseFilterId("SPIFFE ID", spiffe_id));
  }
  if (!selectors.empty()) {
    ASSIGN_OR_RETURN(const int match, ParseMatch(match_selectors));
    auto& by_selectors = *filter.mutable_by_selectors();
    by_selectors.set_match(static_cast<types::SelectorMatch::MatchBehavior>(match));
    for (const std::string& text : selectors) {
      auto selector = ParseSelectorFlag(text);
      if (!selector.ok()) {
        return WithContext(selector.status(), "error parsing selectors");
      }
      *by_selectors.add_selectors() = *std::move(selector);
    }
  }
  if (!federates_with.empty()) {
    ASSIGN_OR_RETURN(const int match, ParseMatch(match_federates_with));
    auto& by_domains = *filter.mutable_by_federates_with();
    by_domains.set_match(static_cast<types::FederatesWithMatch::MatchBehavior>(match));
    by_domains.mutable_trust_domains()->Assign(federates_with.begin(), federates_with.end());
  }
  if (!hint.empty()) {
    filter.mutable_by_hint()->set_value(hint);
  }
  if (downstream) {
    filter.mutable_by_downstream()->set_value(true);
  }
  return absl::OkStatus();
}

// What entries are shown in order of; the last parts make the order the same at each call.
auto SortKey(const types::Entry& entry) {
  return std::tie(entry.spiffe_id().trust_domain(), entry.spiffe_id().path(),
                  entry.parent_id().trust_domain(), entry.parent_id().path());
}

bool SortsBefore(const types::Entry& a, const types::Entry& b) {
  const auto x = SortKey(a);
  const auto y = SortKey(b);
  return x != y ? x < y
                : std::make_tuple(a.x509_svid_ttl(), a.jwt_svid_ttl(), a.id()) <
                      std::make_tuple(b.x509_svid_ttl(), b.jwt_svid_ttl(), b.id());
}

class ShowEntries final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override {
    flags.Add("entryID", entry_id_, "The ID of the one entry to show");
    filter_.AddTo(flags);
  }

  absl::Status Run(const CliContext& context) override {
    entry_api::ListEntriesResponse all;
    if (entry_id_.empty()) {
      RETURN_IF_ERROR(List(context.api, all));
    } else {
      RETURN_IF_ERROR(Get(context.api, *all.add_entries()));
    }
    for (types::Entry& entry : *all.mutable_entries()) {
      std::sort(entry.mutable_selectors()->begin(), entry.mutable_selectors()->end(),
                [](const types::Selector& a, const types::Selector& b) {
                  return std::tie(a.type(), a.value()) < std::tie(b.type(), b.value());
                });
    }
    std::sort(all.mutable_entries()->pointer_begin(), all.mutable_entries()->pointer_end(),
              [](const types::Entry* a, const types::Entry* b) { return SortsBefore(*a, *b); });
    if (context.format == OutputFormat::kJson) {
      context.streams.out << ToJsonLine(all);
      return absl::OkStatus();
    }
    context.streams.out << "Found " << Counted(all.entries_size(), "entry", "entries") << "\n";
    for (const types::Entry& entry : all.entries()) {
      context.streams.out << EntryText(entry);
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Get(ApiClient& api, types::Entry& entry) const {
    if (!filter_.parent_id.empty() || !filter_.spiffe_id.empty() || !filter_.selectors.empty()) {
      return InvalidArgument("the -entryID flag can't be combined with others");
    }
    entry_api::GetEntryRequest request;
    request.set_id(entry_id_);
    auto found = api.Call(&EntryStub::GetEntry, request);
    if (!found.ok()) {
      return WithContext(found.status(), "error fetching entry ID " + entry_id_);
    }
    entry.Swap(&*found);
    return absl::OkStatus();
  }

  absl::Status List(ApiClient& api, entry_api::ListEntriesResponse& all) const {
    entry_api::ListEntriesRequest request;
    RETURN_IF_ERROR(filter_.Fill(*request.mutable_filter()));
    request.set_page_size(kPageSize);
    do {
      auto page = api.Call(&EntryStub::ListEntries, request);
      if (!page.ok()) {
        return WithContext(page.status(), "error fetching entries");
      }
      request.set_page_token(page->next_page_token());
      page->clear_next_page_token();
      all.MergeFrom(*page);
    } while (!request.page_token().empty());
    return absl::OkStatus();
  }

  std::string entry_id_;
  EntryFilter filter_;
};

class CountEntries final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override { filter_.AddTo(flags); }

  absl::Status Run(const CliContext& context) override {
    entry_api::CountEntriesRequest request;
    RETURN_IF_ERROR(filter_.Fill(*request.mutable_filter()));
    ASSIGN_OR_RETURN(const auto response, context.api.Call(&EntryStub::CountEntries, request));
    context.streams.out << (context.format == OutputFormat::kJson
                                ? ToJsonLine(response)
                                : Counted(response.count(), "registration entry",
                                          "registration entries") +
                                      "\n");
    return absl::OkStatus();
  }

 private:
  EntryFilter filter_;
};

}  // namespace

std::vector<CliEntry> EntryQueryCommands() {
  return {
      {"entry", "show", "Displays configured registration entries", &MakeCommand<ShowEntries>},
      {"entry", "count", "Counts registration entries", &MakeCommand<CountEntries>},
  };
}

}  // namespace assay
