// SPDX-License-Identifier: GPL-3.0-or-later
// assay.agent.v1.Explain of the admin socket: for a process, or for the last refusals, which
// selectors each attestor found and how long it took, which entries match, and of the nearest that
// do not which selectors are missing. Owned by the event loop's thread.
#pragma once

#include "base/event_loop.h"
#include "rpc/call.h"
#include "workload-api/entry_search.h"
#include "workload-api/last_refusals.h"
#include "workload-api/referred_process.h"
#include "workload-api/served_state.h"

namespace assay {

class ExplainService final {
 public:
  // Of the refusals in one answer: without a wish, and in any case.
  static constexpr size_t kUsualRefusals = 20;
  static constexpr size_t kMostRefusals = 64;
  // At a time; more are ResourceExhausted.
  static constexpr size_t kMostCalls = 16;

  // All must outlive the service, and the service the server that it is registered with.
  ExplainService(EventLoop& loop, const ServedState& state, ReferredProcesses& processes,
                 const LastRefusals& refusals)
      : search_(loop, state), parts_{state, processes, refusals, search_, calls_} {}
  ExplainService(const ExplainService&) = delete;
  ExplainService& operator=(const ExplainService&) = delete;

  void AddTo(rpc::Registry& registry);

  // What its calls work with.
  struct Parts {
    const ServedState& state;
    ReferredProcesses& processes;
    const LastRefusals& refusals;
    EntrySearch& search;
    size_t& calls;  // That are open.
  };

 private:
  EntrySearch search_;
  size_t calls_ = 0;
  const Parts parts_;
};

}  // namespace assay
