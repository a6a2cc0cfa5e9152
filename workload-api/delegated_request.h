// SPDX-License-Identifier: GPL-3.0-or-later
// For whom a request of the Delegated Identity API asks: for a process by its number, or for
// whoever has some selectors, which the delegate answers for.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <vector>

#include "base/status.h"
#include "spiffe/selector.h"

namespace google::protobuf {
template <typename T>
class RepeatedPtrField;
}
namespace spire::api::types {
class Selector;
}

namespace assay {

struct DelegatedSubject {
  // In one request; a process has fewer.
  static constexpr size_t kMostSelectors = 1024;
  static constexpr size_t kMostBytes = 64 << 10;
  // What each selector costs besides its text.
  static constexpr size_t kOverhead = 2 * sizeof(std::string);

  std::vector<Selector> selectors;  // Normalized; none: the process is meant.
  pid_t pid = 0;
  size_t bytes = 0;  // Of the selectors.

  // Takes the selectors out of the message. InvalidArgument, in the reference's words, when neither
  // is there or both are, or when a selector is none; or when they are too many.
  static absl::StatusOr<DelegatedSubject> Of(
      google::protobuf::RepeatedPtrField<spire::api::types::Selector>& selectors, pid_t pid);
};

}  // namespace assay
