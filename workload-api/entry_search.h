// SPDX-License-Identifier: GPL-3.0-or-later
// Finds, for processes of which the selectors are known, the entries that they match, and of the
// others the nearest: those that miss the fewest selectors. That takes a look at every entry, of
// which there may be 100,000: it is done for operators who ask alone, one search after the other,
// and only so much of it in a round of the loop. Owned by the event loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/status.h"
#include "spiffe/selector.h"
#include "workload-api/served_state.h"

namespace assay {

struct FoundEntry {
  std::string id;
  std::string spiffe_id;
  std::string hint;
  bool store_svid = false;
  bool has_svid = false;
  size_t selectors = 0;
  std::vector<std::string> missing;  // "type:value", the first EntrySearch::kMissing.
  size_t missing_count = 0;
};

// Of one process.
struct FoundEntries {
  std::vector<FoundEntry> matched;  // By id, the first EntrySearch::kMatched; those for stores too.
  size_t matched_count = 0;
  // At most EntrySearch::kNearest, the nearest first; none for stores. An entry with none of whose
  // selectors the process has anything to do is as far away as if it missed one more.
  std::vector<FoundEntry> nearest;
};

class EntrySearch final {
 public:
  static constexpr size_t kNearest = 5;
  static constexpr size_t kMatched = 100;
  static constexpr size_t kMissing = 32;
  // What may be done in one round, below a millisecond's worth: an entry costs one and one more for
  // each process.
  static constexpr size_t kCostPerRound = 8192;
  // As often a search begins anew because the entries have changed.
  static constexpr int kRestarts = 16;

  // One for each process, in their order. Unavailable before the first state, Aborted when the
  // entries changed again and again.
  using Done = std::function<void(absl::StatusOr<std::vector<FoundEntries>> found)>;

  // Both must outlive the search.
  EntrySearch(EventLoop& loop, const ServedState& state) : loop_(loop), state_(state) {}
  ~EntrySearch() { loop_.Cancel(timer_); }
  EntrySearch(const EntrySearch&) = delete;
  EntrySearch& operator=(const EntrySearch&) = delete;

  // Calls back once, later, unless cancelled; the number returned, which is not 0, is for that.
  uint64_t Begin(std::vector<std::vector<Selector>> processes, Done done);
  void Cancel(uint64_t number);

 private:
  struct Candidate {
    size_t distance;
    size_t held;
    EntryIndex::Slot slot;
  };
  struct Process {
    std::vector<Selector> selectors;
    EntryIndex::Held held;
    std::vector<Candidate> nearest;  // The nearest first.
  };
  struct Search {
    uint64_t number;
    std::vector<Process> processes;
    Done done;
    uint64_t version = 0;  // Of the entries that it looks through; 0: it has not begun.
    EntryIndex::Slot next = 0;
    int restarts = 0;
  };

  void OnRound();
  // Looks at some entries; whether it is done.
  absl::StatusOr<bool> Advance(Search& search) const;
  void Restart(Search& search) const;
  void Look(EntryIndex::Slot slot, Process& process) const;
  FoundEntries Result(const Process& process) const;
  FoundEntry Describe(EntryIndex::Slot slot, const Process& process) const;

  EventLoop& loop_;
  const ServedState& state_;
  std::list<Search> searches_;  // The first is under way.
  uint64_t last_number_ = 0;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace assay
