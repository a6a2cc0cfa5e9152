// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/entry_search.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace assay {

uint64_t EntrySearch::Begin(std::vector<std::vector<Selector>> processes, Done done) {
  Search search{.number = ++last_number_, .processes = {}, .done = std::move(done)};
  for (std::vector<Selector>& selectors : processes) {
    search.processes.push_back({.selectors = std::move(selectors), .held = {}, .nearest = {}});
  }
  searches_.push_back(std::move(search));
  if (timer_ == 0) {
    timer_ = loop_.After(absl::ZeroDuration(), [this] { OnRound(); });
  }
  return last_number_;
}

void EntrySearch::Cancel(uint64_t number) {
  searches_.remove_if([number](const Search& search) { return search.number == number; });
}

void EntrySearch::OnRound() {
  timer_ = 0;
  if (searches_.empty()) {
    return;
  }
  timer_ = loop_.After(absl::ZeroDuration(), [this] { OnRound(); });
  Search& search = searches_.front();
  const absl::StatusOr<bool> finished = Advance(search);
  if (finished.ok() && !*finished) {
    return;
  }
  std::vector<FoundEntries> found;
  for (const Process& process : search.processes) {
    if (finished.ok()) {
      found.push_back(Result(process));
    }
  }
  const Done done = std::move(search.done);
  searches_.pop_front();  // Whoever is told may cancel, or begin another.
  if (finished.ok()) {
    done(std::move(found));
  } else {
    done(finished.status());
  }
}

absl::StatusOr<bool> EntrySearch::Advance(Search& search) const {
  if (!state_.ready()) {
    return Unavailable("the agent has not synchronised with its upstream yet");
  }
  if (search.version == 0 || search.version != state_.entries_version()) {
    if (search.version != 0 && ++search.restarts > kRestarts) {
      return MakeStatus(absl::StatusCode::kAborted,
                        "the entries changed again and again while they were looked at, try again");
    }
    Restart(search);
  }
  const EntryIndex::Slot end = state_.entries().end();
  for (size_t cost = 0; cost < kCostPerRound && search.next < end; ++search.next) {
    for (Process& process : search.processes) {
      Look(search.next, process);
    }
    cost += 1 + search.processes.size();
  }
  return search.next >= end;
}

void EntrySearch::Restart(Search& search) const {
  search.version = state_.entries_version();
  search.next = 0;
  for (Process& process : search.processes) {
    process.held = state_.entries().HeldOf(process.selectors);
    process.nearest.clear();
  }
}

void EntrySearch::Look(EntryIndex::Slot slot, Process& process) const {
  const auto compared = state_.entries().Compare(slot, process.held);
  if (!compared.has_value() || compared->missing == 0) {
    return;
  }
  const size_t distance = compared->missing + (compared->held == 0 ? 1 : 0);
  const Candidate candidate{distance, compared->held, slot};
  const auto is_nearer = [](const Candidate& a, const Candidate& b) {
    return std::tie(a.distance, b.held) < std::tie(b.distance, a.held);
  };
  std::vector<Candidate>& nearest = process.nearest;
  if ((nearest.size() == kNearest && !is_nearer(candidate, nearest.back())) ||
      state_.entries().Get(slot).store_svid) {
    return;
  }
  nearest.insert(std::upper_bound(nearest.begin(), nearest.end(), candidate, is_nearer), candidate);
  nearest.resize(std::min(nearest.size(), kNearest));
}

FoundEntries EntrySearch::Result(const Process& process) const {
  FoundEntries found;
  std::vector<EntryIndex::Slot> matched = state_.entries().Match(process.selectors);
  found.matched_count = matched.size();
  matched.resize(std::min(matched.size(), kMatched));
  for (const EntryIndex::Slot slot : matched) {
    found.matched.push_back(Describe(slot, process));
  }
  for (const Candidate& candidate : process.nearest) {
    found.nearest.push_back(Describe(candidate.slot, process));
  }
  return found;
}

FoundEntry EntrySearch::Describe(EntryIndex::Slot slot, const Process& process) const {
  const EntryIndex& entries = state_.entries();
  const EntryIndex::View entry = entries.Get(slot);
  const EntryIndex::Comparison compared =
      entries.Compare(slot, process.held).value_or(EntryIndex::Comparison());
  return {.id = std::string(entry.id),
          .spiffe_id = std::string(entry.spiffe_id),
          .hint = std::string(entry.hint),
          .store_svid = entry.store_svid,
          .has_svid = state_.FindSvid(slot) != nullptr,
          .selectors = compared.held + compared.missing,
          .missing = entries.Missing(slot, process.held, kMissing),
          .missing_count = compared.missing};
}

}  // namespace assay
