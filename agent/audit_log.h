// SPDX-License-Identifier: GPL-3.0-or-later
// The audit log, as the monitor keeps it: lines are written by a thread of its own, for a disk may
// be slow, and wait in memory for one that is full. The monitor writes it because no other role
// could then change what stands there: serve, which says what to write, talks to callers. Owned by
// the event loop's thread.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "agent/audit_file.h"
#include "assay/roles.pb.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/mutex.h"
#include "base/status.h"

namespace assay {

class AuditLog final {
 public:
  // That wait to be written. A process of serve leaves it at AuditSender::kMaxUnwritten, and there
  // may be one that has ended.
  static constexpr size_t kMaxWaiting = 80 << 20;
  // How long after a failure it is tried again.
  static constexpr absl::Duration kRetryInterval = absl::Seconds(1);

  // Called on the loop's thread when the state is another one.
  using OnState = std::function<void()>;

  // Opens the file, as AuditFile::Open. Loop and clock must outlive it.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Create(EventLoop& loop, const Clock& clock,
                                                          const std::string& path,
                                                          OnState on_state);
  // Writes what waits, if that can be done at once, and a line that says that it was closed.
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // There is a new process of serve: what is told from now on is its, and so is the state.
  void BeginSource();
  // A line for each key. What there is no room for is counted, and written as a number. Of a
  // message that no serve role makes: InvalidArgument.
  absl::Status Take(roles::HandedOutKeys keys);
  // How much of what that process told is dealt with, and whether the file cannot be written to.
  roles::AuditState state() const;
  // Goes on in a new file, after a rotation has moved this one.
  void Reopen();

 private:
  struct Item {
    absl::Time time;
    bool reopens = false;  // Nothing else: the file is to be opened anew.
    uint64_t source = 0;
    uint64_t bytes = 0;
    roles::HandedOutKeys keys;
  };

  AuditLog(EventLoop& loop, const Clock& clock, std::unique_ptr<AuditFile> file, OnState on_state)
      : loop_(loop),
        clock_(clock),
        on_state_(std::move(on_state)),
        file_(std::move(file)),
        thread_([this] { Run(); }) {}
  void Enqueue(Item item);
  void DealtWith(uint64_t source, uint64_t bytes);
  // The thread's.
  void Run();
  void AddLines(const std::deque<Item>& items);
  void ReopenFile(absl::Time now);
  bool WriteUntilDone();
  bool WaitToRetry();
  void PostFailing(bool failing);
  void Report(const std::deque<Item>& items);
  void Close();

  EventLoop& loop_;
  const Clock& clock_;
  const OnState on_state_;
  const std::unique_ptr<AuditFile> file_;  // The thread's.
  uint64_t source_ = 0;                    // Counts the processes of serve.
  uint64_t written_ = 0;
  bool failing_ = false;
  // Outlives this for what the thread has posted.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  Mutex mutex_;
  CondVar changed_;
  CondVar urgent_;  // What a failure to write does not wait for.
  std::deque<Item> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // With those that are being written.
  uint64_t unwritten_ ABSL_GUARDED_BY(mutex_) = 0;    // Keys that there was no room for.
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // Last: it uses the rest.
};

}  // namespace assay
