// SPDX-License-Identifier: GPL-3.0-or-later
// What the serve role has done, asked of it when somebody wants to know: one question at a time for
// all who ask meanwhile, and an answer serves again for a moment. Owned by the identity thread.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"

namespace assay {

namespace roles {
class Report;
}  // namespace roles

class ServeReports final {
 public:
  // How long an answer is waited for, and how long it serves again.
  static constexpr absl::Duration kPatience = absl::Milliseconds(500);
  static constexpr absl::Duration kFreshFor = absl::Milliseconds(200);

  // Sends the question of this number; one that is lost stays unanswered. All must outlive it.
  using Ask = std::function<void(uint64_t number)>;
  // The newest report, null before the first; may be of before the question when serve is silent.
  using Done = std::function<void(const roles::Report* report)>;
  ServeReports(EventLoop& loop, const Clock& clock, Ask ask);
  ~ServeReports();
  ServeReports(const ServeReports&) = delete;
  ServeReports& operator=(const ServeReports&) = delete;

  // Calls back once, at once or within kPatience, unless this dies before.
  void Get(Done done);
  void Take(const roles::Report& report);
  // Since when serve has left a question unanswered; nothing: it has answered, or was not asked.
  std::optional<absl::Duration> silence() const;

 private:
  void TellAll();

  EventLoop& loop_;
  const Clock& clock_;
  const Ask ask_;
  std::unique_ptr<roles::Report> report_;
  std::vector<Done> waiting_;
  uint64_t number_ = 0;      // Of the last question.
  uint64_t last_taken_ = 0;  // Of the newest report.
  EventLoop::TimerId timer_ = 0;
  absl::Duration taken_ = -absl::InfiniteDuration();
  std::optional<absl::Duration> silent_since_;  // Since boot.
};

}  // namespace assay
