// SPDX-License-Identifier: GPL-3.0-or-later
// What becomes of the entries and revisions in the upstream's answers: those that are malformed, or
// come twice or unasked, are left out one by one and told in the log by their id; the others go to
// the sink. What the upstream may say in one sync is bounded, in number and in bytes.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/mutex.h"
#include "base/status.h"
#include "spire/api/server/entry/v1/entry.pb.h"
#include "spire/api/types/entry.pb.h"
#include "upstream/upstream.h"

namespace assay {

// What has been told, so that syncs every few seconds do not tell it each time. Thread-safe.
class ToldEntries final {
 public:
  // Whether this is new; nothing is, once a thousand have been told.
  bool Add(const std::string& id, std::string_view what);

 private:
  Mutex mutex_;
  std::set<std::string> told_ ABSL_GUARDED_BY(mutex_);
};

class EntryIntake final {
 public:
  // All must outlive it.
  EntryIntake(const TrustDomain& trust_domain, EntrySink& sink, ToldEntries& told,
              size_t max_items);

  // Counts a message; Internal when it is all too much.
  absl::Status Count(size_t items, size_t bytes);
  // A revision of an entry that can be asked for.
  bool IsSound(const spire::api::server::entry::v1::EntryRevision& revision);
  // From now on entries of these ids alone are taken, each once; before, any id once.
  void Expect(std::unordered_set<std::string> ids);
  void Take(const google::protobuf::RepeatedPtrField<spire::api::types::Entry>& entries);

 private:
  void LeaveOut(const std::string& id, std::string_view what);

  const TrustDomain& trust_domain_;
  EntrySink& sink_;
  ToldEntries& told_;
  bool by_id_ = false;
  // Those asked for; without a request, those that have come.
  std::unordered_set<std::string> ids_;
  const size_t max_items_;
  size_t items_ = 0, bytes_ = 0;
};

}  // namespace assay
