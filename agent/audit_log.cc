// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/audit_log.h"

#include <chrono>
#include <csignal>
#include <map>
#include <utility>

#include "agent/audit_lines.h"
#include "base/log.h"

namespace assay {
namespace {

// Of messages, whose lines are written at once.
constexpr uint64_t kBatchBytes = 1 << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Create(EventLoop& loop, const Clock& clock,
                                                           const std::string& path,
                                                           OnState on_state) {
  absl::StatusOr<std::unique_ptr<AuditFile>> file = AuditFile::Open(path, clock.Now());
  RETURN_IF_ERROR(WithContext(file.status(), "the audit log"));
  return std::unique_ptr<AuditLog>(
      new AuditLog(loop, clock, *std::move(file), std::move(on_state)));
}

AuditLog::~AuditLog() {
  *alive_ = false;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
    urgent_.NotifyAll();
  }
  thread_.join();
}

void AuditLog::BeginSource() {
  ++source_;
  written_ = 0;
}

absl::Status AuditLog::Take(roles::HandedOutKeys keys) {
  RETURN_IF_ERROR(CheckHandedOut(keys));
  const uint64_t bytes = keys.ByteSizeLong();
  bool dropped = false;
  {
    MutexLock lock(mutex_);
    if (waiting_bytes_ + bytes > kMaxWaiting) {
      dropped = true;
      unwritten_ += static_cast<uint64_t>(keys.keys_size()) + keys.unwritten();
    }
  }
  if (dropped) {
    DealtWith(source_, bytes);
  } else {
    Enqueue({.time = clock_.Now(), .source = source_, .bytes = bytes, .keys = std::move(keys)});
  }
  return absl::OkStatus();
}

roles::AuditState AuditLog::state() const {
  roles::AuditState state;
  state.set_written(written_);
  state.set_failing(failing_);
  return state;
}

void AuditLog::Reopen() {
  Enqueue({.time = clock_.Now(), .reopens = true, .source = 0, .bytes = 0, .keys = {}});
}

void AuditLog::Enqueue(Item item) {
  MutexLock lock(mutex_);
  waiting_bytes_ += item.bytes;
  if (item.reopens) {
    urgent_.NotifyAll();
  }
  waiting_.push_back(std::move(item));
  changed_.NotifyAll();
}

// What a process of serve said that is not there any more nobody waits for.
void AuditLog::DealtWith(uint64_t source, uint64_t bytes) {
  if (source == source_) {
    written_ += bytes;
    on_state_();
  }
}

void AuditLog::Run() {
  // Where the agent has a limit on the length of files it ends no more than at a full disk.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  for (;;) {
    std::deque<Item> items;
    uint64_t unwritten = 0;
    {
      MutexLock lock(mutex_);
      while (waiting_.empty() && !stopping_) {
        changed_.Wait(mutex_);
      }
      for (uint64_t bytes = 0; !waiting_.empty() && bytes < kBatchBytes;) {
        bytes += waiting_.front().bytes;
        items.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
      // Their place is behind what waited then.
      unwritten = waiting_.empty() ? std::exchange(unwritten_, 0) : 0;
    }
    if (items.empty()) {
      Close();
      return;
    }
    AddLines(items);
    if (unwritten > 0) {
      file_->Add(UnwrittenLine(items.back().time, unwritten));
    }
    if (!WriteUntilDone()) {
      return;
    }
    Report(items);
  }
}

void AuditLog::AddLines(const std::deque<Item>& items) {
  for (const Item& item : items) {
    if (item.reopens) {
      ReopenFile(item.time);
      continue;
    }
    if (item.keys.unwritten() > 0) {
      file_->Add(UnwrittenLine(item.time, item.keys.unwritten()));
    }
    for (const roles::HandedOutKey& key : item.keys.keys()) {
      file_->Add(HandedOutLine(item.time, item.keys.receiver(), key));
    }
  }
}

void AuditLog::ReopenFile(absl::Time now) {
  if (absl::Status reopened = file_->Reopen(now); !reopened.ok()) {
    log::Error("Audit log was not reopened, and goes on in the old file", {{"error", reopened}});
  }
}

// False: the agent ends, and there is no more time.
bool AuditLog::WriteUntilDone() {
  bool failed = false;
  for (absl::Status wrote = file_->Write(); !wrote.ok(); wrote = file_->Write()) {
    if (!std::exchange(failed, true)) {
      log::Error("Audit log cannot be written, and is tried again every second",
                 {{"error", wrote}, {"waiting_bytes", file_->pending_bytes()}});
      PostFailing(true);
    }
    if (!WaitToRetry()) {
      log::Error("Audit log ends without its last lines",
                 {{"waiting_bytes", file_->pending_bytes()}});
      return false;
    }
  }
  if (failed) {
    log::Info("Audit log is written again");
    PostFailing(false);
  }
  return true;
}

bool AuditLog::WaitToRetry() {
  bool reopens = false;
  {
    MutexLock lock(mutex_);
    if (!stopping_) {
      urgent_.WaitFor(mutex_, std::chrono::milliseconds(absl::ToInt64Milliseconds(kRetryInterval)));
    }
    if (stopping_) {
      return false;
    }
    // An operator may have made room elsewhere.
    reopens = std::erase_if(waiting_, [](const Item& item) { return item.reopens; }) > 0;
  }
  if (reopens) {
    ReopenFile(clock_.Now());
  }
  return true;
}

void AuditLog::PostFailing(bool failing) {
  loop_.Post([this, failing, alive = alive_] {
    if (*alive) {
      failing_ = failing;
      on_state_();
    }
  });
}

void AuditLog::Report(const std::deque<Item>& items) {
  std::map<uint64_t, uint64_t> written;
  for (const Item& item : items) {
    written[item.source] += item.bytes;
  }
  {
    MutexLock lock(mutex_);
    for (const auto& [source, bytes] : written) {
      waiting_bytes_ -= bytes;
    }
  }
  loop_.Post([this, written = std::move(written), alive = alive_] {
    for (const auto& [source, bytes] : written) {
      if (*alive && bytes > 0) {
        DealtWith(source, bytes);
      }
    }
  });
}

void AuditLog::Close() {
  file_->Add(AuditMembers(clock_.Now(), "closed"));
  if (absl::Status wrote = file_->Write(); !wrote.ok()) {
    log::Error("Audit log cannot be written", {{"error", wrote}});
  }
}

}  // namespace assay
