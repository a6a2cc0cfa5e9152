// SPDX-License-Identifier: GPL-3.0-or-later
// The last calls that were refused, for operators who ask why. What they may take of memory is
// bounded, and of the users that take most of it the oldest refusals make way: no user's flood
// pushes out those of others. A process that asks for the same again is one refusal, with one id.
// There is no secret in it. Owned by the event loop's thread.
#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/fair_places.h"
#include "spiffe/selector.h"
#include "workload-api/attestor_run.h"

namespace assay {

struct Refusal {
  std::string reason;  // Its id: twelve letters and digits, of Crockford's base 32.
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string service;    // As the log calls it: "WorkloadAPI".
  std::string method;     // The last: "FetchX509SVID".
  std::string error;      // What the call ended with.
  std::string asked_for;  // The SPIFFE ID that alone was wanted, if any.
  bool attested = false;  // Else the selectors are not known.
  std::vector<Selector> selectors;
  AttestorRuns runs;  // Of the last attestation.
  absl::Time first_at;
  absl::Time last_at;
  uint64_t count = 0;
};

class LastRefusals final {
 public:
  // A refusal takes a place for each begun kPlaceBytes.
  static constexpr size_t kPlaces = 256;
  static constexpr size_t kPlaceBytes = 4 << 10;

  explicit LastRefusals(const Clock& clock) : clock_(clock) {}
  LastRefusals(const LastRefusals&) = delete;
  LastRefusals& operator=(const LastRefusals&) = delete;

  // Remembers it; reason, times and count are filled in here. Returns its id.
  std::string Note(Refusal refusal);

  // Null: there is none of this id any more. Valid until the next Note.
  const Refusal* Find(std::string_view reason) const;
  // Those that came last first, at most so many; likewise.
  std::vector<const Refusal*> Newest(size_t most) const;

 private:
  // Numbers of a refusal's places: its own number times this, and the next ones.
  static constexpr uint64_t kMostPlacesOfOne = 128;
  struct Remembered {
    Refusal refusal;
    uint64_t places;
  };
  using Refusals = std::map<uint64_t, Remembered>;

  Refusals::iterator FindSame(const Refusal& refusal);
  void Forget(Refusals::iterator refusal);

  const Clock& clock_;
  Refusals refusals_;  // By number, the last one the highest.
  FairPlaces places_;  // By user.
  uint64_t last_number_ = 0;
};

}  // namespace assay
