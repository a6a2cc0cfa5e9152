// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/tpm.h"

#include <chrono>
#include <cstdlib>
#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "tpm/device.h"
#include "tpm/devid_commands.h"
#include "tpm/esys.h"
#include "tpm/key_commands.h"
#include "tpm/primary_keys.h"
#include "tpm/refused_passwords.h"

namespace assay::tpm {

namespace {

constexpr std::chrono::milliseconds kIdle(2000);

std::shared_ptr<const Passwords> Copy(const Passwords& passwords) {
  return std::make_shared<const Passwords>(Passwords{.owner = passwords.owner.Clone(),
                                                     .endorsement = passwords.endorsement.Clone(),
                                                     .devid = passwords.devid.Clone()});
}

// Everything that can be done on one connection.
struct Commands {
  Commands(Esys& esys, RefusedPasswords& refused)
      : primary_keys(esys, refused),
        keys(esys, primary_keys),
        devid(esys, refused, primary_keys, keys) {}

  PrimaryKeys primary_keys;
  KeyCommands keys;
  DevIdCommands devid;
};

}  // namespace

// The thread that owns the connection, and the queue of what callers want of it.
class Tpm::Worker final {
 public:
  // Of what it works on it has copies, for it may go on after its caller has given up.
  using Operation = std::function<absl::Status(Commands&)>;

  Worker(TctiChoice choice, const Options& options)
      : choice_(std::move(choice)),
        patience_(absl::ToChronoMilliseconds(options.patience)),
        observe_(options.observe),
        refused_(options.refused_passwords_path) {}
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  static void Start(const std::shared_ptr<Worker>& self) {
    self->thread_ = std::thread([self] { self->RunThread(); });
  }
  // Ends the thread, unless the TPM keeps it.
  void Stop();

  // Runs operation on the thread after those before it, and returns what it does. It may run twice:
  // when the TPM was lost since the last one, or its slots were full of a dead process's leftovers.
  absl::Status Do(std::string_view name, Operation operation);
  // As Do, for an operation that has a value.
  template <typename Value>
  absl::StatusOr<Value> Get(std::string_view name,
                            std::function<absl::StatusOr<Value>(Commands&)> operation) {
    const auto result = std::make_shared<absl::StatusOr<Value>>(absl::UnknownError(""));
    RETURN_IF_ERROR(Do(name, [result, operation = std::move(operation)](Commands& commands) {
      *result = operation(commands);
      return result->status();
    }));
    return *std::move(*result);
  }

 private:
  struct Connection {
    std::unique_ptr<Esys> esys;
    std::unique_ptr<Commands> commands;
  };
  struct Job {
    std::string_view name;  // A constant.
    Operation operation;
    absl::Status status;
    bool done = false;
  };

  void RunThread();
  // Null when there is none: at the end, and when there was none for a while.
  std::shared_ptr<Job> WaitForJob();
  absl::Status Measure(const Job& job);
  absl::Status Attempt(const Operation& operation);
  absl::Status Connect();
  absl::Status RunOnce(const Operation& operation);

  const TctiChoice choice_;
  const std::chrono::milliseconds patience_;
  const decltype(Options::observe) observe_;
  // Touched by the thread alone.
  Connection connection_;
  RefusedPasswords refused_;
  // Shared with callers.
  Mutex mutex_;
  CondVar work_, finished_;
  std::deque<std::shared_ptr<Job>> jobs_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool stuck_ ABSL_GUARDED_BY(mutex_) = false;  // In a job that took longer than callers wait.
  std::thread thread_;
};

void Tpm::Worker::Stop() {
  bool is_stuck = false;
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    is_stuck = stuck_;
  }
  work_.NotifyAll();
  if (is_stuck) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

absl::Status Tpm::Worker::Do(std::string_view name, Operation operation) {
  const auto job = std::make_shared<Job>(
      Job{.name = name, .operation = std::move(operation), .status = absl::OkStatus()});
  const auto deadline = std::chrono::steady_clock::now() + patience_;
  const MutexLock lock(mutex_);
  if (!stuck_) {
    jobs_.push_back(job);
    work_.NotifyOne();
  }
  while (!job->done && !stuck_) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      stuck_ = true;
      jobs_.clear();
      finished_.NotifyAll();
    } else {
      finished_.WaitFor(mutex_, left);
    }
  }
  if (!job->done) {
    return Unavailable("the TPM at {} does not answer; a restart of it or of the machine may help",
                       Quoted(choice_.device));
  }
  return job->status;
}

std::shared_ptr<Tpm::Worker::Job> Tpm::Worker::WaitForJob() {
  // Others cannot use a TPM without a resource manager meanwhile.
  const bool is_held = choice_.raw && connection_.esys != nullptr;
  const MutexLock lock(mutex_);
  while (jobs_.empty() && !stopping_) {
    if (!is_held) {
      work_.Wait(mutex_);
    } else if (!work_.WaitFor(mutex_, kIdle)) {
      break;
    }
  }
  if (jobs_.empty()) {
    return nullptr;
  }
  std::shared_ptr<Job> job = std::move(jobs_.front());
  jobs_.pop_front();
  return job;
}

void Tpm::Worker::RunThread() {
  while (true) {
    const std::shared_ptr<Job> job = WaitForJob();
    const absl::Status status = job == nullptr ? absl::OkStatus() : Measure(*job);
    if (job == nullptr) {
      connection_ = {};
    }
    {
      const MutexLock lock(mutex_);
      if (job != nullptr) {
        job->status = status;
        job->done = true;
        stuck_ = false;
      } else if (stopping_) {
        break;
      }
    }
    finished_.NotifyAll();
  }
}

absl::Status Tpm::Worker::Measure(const Job& job) {
  const auto begin = std::chrono::steady_clock::now();
  absl::Status status = Attempt(job.operation);
  if (observe_) {
    observe_(job.name, status, absl::FromChrono(std::chrono::steady_clock::now() - begin));
  }
  return status;
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
  auto commands = std::make_unique<Commands>(*esys, refused_);
  connection_ = {.esys = std::move(esys), .commands = std::move(commands)};
  return absl::OkStatus();
}

Tpm::Tpm(std::shared_ptr<Worker> worker) : worker_(std::move(worker)) {}
Tpm::~Tpm() { worker_->Stop(); }

absl::StatusOr<std::unique_ptr<Tpm>> Tpm::Open(const Options& options) {
  // The library prints its own idea of each error otherwise; ours say more.
  setenv("TSS2_LOG", "all+NONE", 0);
  std::string device = options.device;
  if (device.empty()) {
    ASSIGN_OR_RETURN(device, FindDevice("/dev"));
  }
  ASSIGN_OR_RETURN(TctiChoice choice, ChooseTcti(device));
  const auto worker = std::make_shared<Worker>(std::move(choice), options);
  Worker::Start(worker);
  std::unique_ptr<Tpm> tpm(new Tpm(worker));
  RETURN_IF_ERROR(worker->Do("open", [](Commands&) { return absl::OkStatus(); }));
  return tpm;
}

absl::StatusOr<KeyBlobs> Tpm::CreateDevId(crypto::KeyType type, const Passwords& passwords) {
  return worker_->Get<KeyBlobs>("create_devid", [type, copy = Copy(passwords)](Commands& commands) {
    return commands.devid.CreateDevId(type, *copy);
  });
}

absl::StatusOr<KeyBlobs> Tpm::CreateAk(const Passwords& passwords) {
  return worker_->Get<KeyBlobs>("create_ak", [copy = Copy(passwords)](Commands& commands) {
    return commands.devid.CreateAk(*copy);
  });
}

absl::StatusOr<DevIdEvidence> Tpm::AttestDevId(const KeyBlobs& devid, const KeyBlobs& ak,
                                               const Passwords& passwords) {
  return worker_->Get<DevIdEvidence>("attest_devid",
                                     [devid, ak, copy = Copy(passwords)](Commands& commands) {
                                       return commands.devid.AttestDevId(devid, ak, *copy);
                                     });
}

absl::StatusOr<std::string> Tpm::ActivateCredential(const KeyBlobs& ak,
                                                    const std::string& credential,
                                                    const std::string& secret,
                                                    const Passwords& passwords) {
  return worker_->Get<std::string>(
      "activate_credential", [ak, credential, secret, copy = Copy(passwords)](Commands& commands) {
        return commands.devid.ActivateCredential(ak, credential, secret, *copy);
      });
}

absl::StatusOr<std::string> Tpm::SignWithDevId(const KeyBlobs& devid, const std::string& digest,
                                               const Passwords& passwords) {
  return worker_->Get<std::string>("sign_with_devid",
                                   [devid, digest, copy = Copy(passwords)](Commands& commands) {
                                     return commands.devid.SignWithDevId(devid, digest, *copy);
                                   });
}

absl::StatusOr<KeyBlobs> Tpm::CreateKey(crypto::KeyType type, const Passwords& passwords) {
  return worker_->Get<KeyBlobs>("create_key", [type, copy = Copy(passwords)](Commands& commands) {
    return commands.keys.CreateKey(type, *copy);
  });
}

absl::Status Tpm::CheckKey(const KeyBlobs& key, const Passwords& passwords) {
  return worker_->Do("check_key", [key, copy = Copy(passwords)](Commands& commands) {
    return commands.keys.CheckKey(key, *copy);
  });
}

absl::StatusOr<std::string> Tpm::Sign(const KeyBlobs& key, const crypto::SignatureScheme& scheme,
                                      const std::string& digest, const Passwords& passwords) {
  return worker_->Get<std::string>(
      "sign", [key, scheme, digest, copy = Copy(passwords)](Commands& commands) {
        return commands.keys.Sign(key, scheme, digest, *copy);
      });
}

}  // namespace assay::tpm
