// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_serve_reports.h"

#include <utility>

#include "assay/roles.pb.h"

namespace assay {

ServeReports::ServeReports(EventLoop& loop, const Clock& clock, Ask ask)
    : loop_(loop), clock_(clock), ask_(std::move(ask)) {}

ServeReports::~ServeReports() { loop_.Cancel(timer_); }

void ServeReports::Get(Done done) {
  const absl::Duration now = clock_.SinceBoot();
  if (report_ != nullptr && now - taken_ < kFreshFor) {
    done(report_.get());
    return;
  }
  waiting_.push_back(std::move(done));
  if (timer_ != 0) {
    return;
  }
  timer_ = loop_.After(kPatience, [this] {
    timer_ = 0;
    TellAll();
  });
  if (!silent_since_.has_value()) {
    silent_since_ = now;
  }
  ask_(++number_);
}

void ServeReports::Take(const roles::Report& report) {
  // A late one is of a question before the last, and yet a sign of life.
  if (report.number() <= last_taken_ || report.number() > number_) {
    return;
  }
  last_taken_ = report.number();
  silent_since_.reset();
  taken_ = clock_.SinceBoot();
  report_ = std::make_unique<roles::Report>(report);
  loop_.Cancel(std::exchange(timer_, 0));
  TellAll();
}

void ServeReports::TellAll() {
  std::vector<Done> waiting;
  waiting.swap(waiting_);
  for (const Done& done : waiting) {
    done(report_.get());
  }
}

std::optional<absl::Duration> ServeReports::silence() const {
  return silent_since_.has_value() ? std::optional(clock_.SinceBoot() - *silent_since_)
                                   : std::nullopt;
}

}  // namespace assay
