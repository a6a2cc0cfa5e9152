// SPDX-License-Identifier: GPL-3.0-or-later
// The one Tpm of a process, opened when somebody first needs it. Thread-safe.
#pragma once

#include <memory>
#include <utility>

#include "base/mutex.h"
#include "base/status.h"
#include "tpm/tpm.h"

namespace assay::tpm {

class LazyTpm final {
 public:
  explicit LazyTpm(Tpm::Options options) : options_(std::move(options)) {}

  // The Tpm, which lives as long as this does. Errors are those of Tpm::Open; the next call tries
  // again.
  absl::StatusOr<Tpm*> Get();

 private:
  const Tpm::Options options_;
  Mutex mutex_;
  std::unique_ptr<Tpm> tpm_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace assay::tpm
