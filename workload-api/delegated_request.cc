// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/delegated_request.h"

#include <string>
#include <utility>

#include "spire/api/types/selector.pb.h"

namespace assay {

absl::StatusOr<DelegatedSubject> DelegatedSubject::Of(
    google::protobuf::RepeatedPtrField<spire::api::types::Selector>& selectors, pid_t pid) {
  if (selectors.empty() == (pid == 0)) {
    return InvalidArgument("must provide either selectors or non-zero PID, but not both");
  }
  DelegatedSubject subject{.selectors = {}, .pid = pid};
  const auto count = static_cast<size_t>(selectors.size());
  for (const spire::api::types::Selector& selector : selectors) {
    subject.bytes += kOverhead + selector.type().size() + selector.value().size();
  }
  if (count > kMostSelectors || subject.bytes > kMostBytes) {
    return InvalidArgument("{} selectors of {} bytes are more than are taken, {} of {} bytes",
                           count, subject.bytes, kMostSelectors, kMostBytes);
  }
  subject.selectors.reserve(count);
  for (spire::api::types::Selector& selector : selectors) {
    if (selector.type().empty() || selector.value().empty() ||
        selector.type().find(':') != std::string::npos) {
      return InvalidArgument("could not parse provided selectors");
    }
    subject.selectors.push_back(
        {std::move(*selector.mutable_type()), std::move(*selector.mutable_value())});
  }
  subject.selectors = Normalized(std::move(subject.selectors));
  return subject;
}

}  // namespace assay
