// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/change_queue.h"

#include <utility>

#include "base/log.h"

namespace assay {

void ChangeQueue::Add(Change change) {
  waiting_.push_back(std::move(change));
  if (!busy_) {
    Next();
  }
}

void ChangeQueue::Next() {
  busy_ = true;
  while (!waiting_.empty()) {
    const auto change = std::make_shared<Change>(std::move(waiting_.front()));
    waiting_.pop_front();
    absl::StatusOr<Write> planned = change->plan();
    if (!planned.ok() || *planned == nullptr) {
      change->done(planned.status());
      continue;
    }
    storage_.Run(
        loop_,
        [this, write = *std::move(planned)] {
          return store_.InTransaction([&] { return write(store_); });
        },
        [this, change](const absl::Status& outcome) {
          if (!outcome.ok()) {
            log::Error("cannot write to the database", {{"error", outcome}});
          }
          change->done(outcome);
          Next();
        });
    return;
  }
  busy_ = false;
}

}  // namespace assay
