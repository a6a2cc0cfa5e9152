// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/tpm.h"

#include <cstdlib>
#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "tpm/device.h"
#include "tpm/devid_commands.h"
#include "tpm/esys.h"
#include "tpm/refused_passwords.h"

namespace assay::tpm {

// The thread that owns the connection, and the queue of what callers want of it.
class Tpm::Worker final {
 public:
  using Operation = std::function<absl::Status(DevIdCommands&)>;

  explicit Worker(TctiChoice choice)
      : choice_(std::move(choice)), thread_([this] { RunThread(); }) {}
  ~Worker() {
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
    }
    work_.NotifyAll();
    thread_.join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Runs operation on the thread after those before it, and returns what it does. It may run twice:
  // when the TPM was lost since the last one, or its slots were full of a dead process's leftovers.
  absl::Status Do(Operation operation);
  // As Do, for an operation that has a value.
  template <typename Value>
  absl::StatusOr<Value> Get(const std::function<absl::StatusOr<Value>(DevIdCommands&)>& operation) {
    absl::StatusOr<Value> result = absl::UnknownError("");
    RETURN_IF_ERROR(Do([&](DevIdCommands& commands) {
      result = operation(commands);
      return result.status();
    }));
    return result;
  }

 private:
  struct Connection {
    std::unique_ptr<Esys> esys;
    std::unique_ptr<DevIdCommands> commands;
  };
  struct Job {
    Operation operation;
    absl::Status status;
    bool done = false;
  };

  void RunThread();
  absl::Status Attempt(const Operation& operation);
  absl::Status Connect();
  absl::Status RunOnce(const Operation& operation);

  const TctiChoice choice_;
  // Touched by the thread alone.
  Connection connection_;
  RefusedPasswords refused_;
  // Shared with callers.
  Mutex mutex_;
  CondVar work_, finished_;
  std::deque<Job*> jobs_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // Last, for it uses all of the above.
};

absl::Status Tpm::Worker::Do(Operation operation) {
  Job job{.operation = std::move(operation), .status = absl::OkStatus()};
  const MutexLock lock(mutex_);
  jobs_.push_back(&job);
  work_.NotifyOne();
  while (!job.done) {
    finished_.Wait(mutex_);
  }
  return job.status;
}

void Tpm::Worker::RunThread() {
  while (true) {
    Job* job = nullptr;
    {
      const MutexLock lock(mutex_);
      while (jobs_.empty() && !stopping_) {
        work_.Wait(mutex_);
      }
      if (jobs_.empty()) {
        break;
      }
      job = jobs_.front();
      jobs_.pop_front();
    }
    job->status = Attempt(job->operation);
    {
      const MutexLock lock(mutex_);
      job->done = true;
    }
    finished_.NotifyAll();
  }
  connection_ = {};
}

absl::Status Tpm::Worker::Attempt(const Operation& operation) {
  const bool was_connected = connection_.esys != nullptr;
  const absl::Status status = RunOnce(operation);
  if (status.ok()) {
    return status;
  }
  if (connection_.esys == nullptr) {
    return was_connected ? RunOnce(operation) : status;
  }
  if (choice_.raw && connection_.esys->out_of_slots()) {
    RETURN_IF_ERROR(connection_.esys->FlushLeftovers());
    return RunOnce(operation);
  }
  return status;
}

absl::Status Tpm::Worker::RunOnce(const Operation& operation) {
  if (connection_.esys == nullptr) {
    RETURN_IF_ERROR(Connect());
  }
  const absl::Status status = operation(*connection_.commands);
  if (connection_.esys->lost()) {
    connection_ = {};
  }
  return status;
}

absl::Status Tpm::Worker::Connect() {
  ASSIGN_OR_RETURN(std::unique_ptr<Esys> esys, Esys::Open(choice_));
  auto commands = std::make_unique<DevIdCommands>(*esys, refused_);
  connection_ = {.esys = std::move(esys), .commands = std::move(commands)};
  return absl::OkStatus();
}

Tpm::Tpm(std::unique_ptr<Worker> worker) : worker_(std::move(worker)) {}
Tpm::~Tpm() = default;

absl::StatusOr<std::unique_ptr<Tpm>> Tpm::Open(const Options& options) {
  // The library prints its own idea of each error otherwise; ours say more.
  setenv("TSS2_LOG", "all+NONE", 0);
  std::string device = options.device;
  if (device.empty()) {
    ASSIGN_OR_RETURN(device, FindDevice("/dev"));
  }
  ASSIGN_OR_RETURN(TctiChoice choice, ChooseTcti(device));
  auto worker = std::make_unique<Worker>(std::move(choice));
  RETURN_IF_ERROR(worker->Do([](DevIdCommands&) { return absl::OkStatus(); }));
  return std::unique_ptr<Tpm>(new Tpm(std::move(worker)));
}

absl::StatusOr<KeyBlobs> Tpm::CreateDevId(crypto::KeyType type, const Passwords& passwords) {
  return worker_->Get<KeyBlobs>(
      [&](DevIdCommands& commands) { return commands.CreateDevId(type, passwords); });
}

absl::StatusOr<KeyBlobs> Tpm::CreateAk(const Passwords& passwords) {
  return worker_->Get<KeyBlobs>(
      [&](DevIdCommands& commands) { return commands.CreateAk(passwords); });
}

absl::StatusOr<DevIdEvidence> Tpm::AttestDevId(const KeyBlobs& devid, const KeyBlobs& ak,
                                               const Passwords& passwords) {
  return worker_->Get<DevIdEvidence>(
      [&](DevIdCommands& commands) { return commands.AttestDevId(devid, ak, passwords); });
}

absl::StatusOr<std::string> Tpm::ActivateCredential(const KeyBlobs& ak,
                                                    const std::string& credential,
                                                    const std::string& secret,
                                                    const Passwords& passwords) {
  return worker_->Get<std::string>([&](DevIdCommands& commands) {
    return commands.ActivateCredential(ak, credential, secret, passwords);
  });
}

absl::StatusOr<std::string> Tpm::SignWithDevId(const KeyBlobs& devid, const std::string& digest,
                                               const Passwords& passwords) {
  return worker_->Get<std::string>(
      [&](DevIdCommands& commands) { return commands.SignWithDevId(devid, digest, passwords); });
}

}  // namespace assay::tpm
