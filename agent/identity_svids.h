// SPDX-License-Identifier: GPL-3.0-or-later
// The X509-SVIDs that this node has ready, by the id of their entry: each with the moment at which
// it is to be replaced, which was drawn once, and when a caller last used it. Owned by the
// identity thread.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/secret.h"

namespace assay {

struct ReadySvid {
  std::string chain;  // DER certificates, leaf first.
  Secret key;         // PKCS#8 DER.
  // The key identifier of the authority above the chain, to find those that are tainted.
  std::string authority_key_id;
  absl::Time expires;
  absl::Time rotate;  // Infinite once its replacement has been asked for.
};

class SvidStore final {
 public:
  SvidStore() = default;
  SvidStore(const SvidStore&) = delete;
  SvidStore& operator=(const SvidStore&) = delete;

  const ReadySvid* Find(std::string_view id) const;
  // New or replaced. A replacement keeps the time of its last use.
  void Put(std::string_view id, ReadySvid svid, absl::Duration now);
  // Whether there was one. One that has expired is forgotten.
  bool Remove(std::string_view id);
  void Clear();
  // A caller asked for it, or had it open, at this time since boot.
  void Use(std::string_view id, absl::Duration now);
  size_t size() const { return svids_.size(); }

  std::vector<std::string> Ids() const;
  // When the first of them expires.
  std::optional<absl::Time> EarliestExpiry() const;
  // Those that have expired and neither been replaced nor removed.
  const std::set<std::string, std::less<>>& expired() const { return expired_; }

  // The next moment at which one is to be replaced or expires.
  std::optional<absl::Time> NextDeadline() const;
  // Those to be replaced by now, with their expiry; each is named once.
  std::vector<std::pair<std::string, absl::Time>> TakeDue(absl::Time now);
  // Removes and names those that have expired. The last moment of the validity still counts.
  std::vector<std::string> TakeExpired(absl::Time now);
  // Removes and names the least recently used ones until `most` are left, but none that was used
  // after `since`.
  std::vector<std::string> Evict(size_t most, absl::Duration since);
  // Those whose chain ends below the authority of this key identifier.
  std::vector<std::string> IssuedBy(std::string_view authority_key_id) const;

 private:
  struct Held {
    ReadySvid svid;
    absl::Duration used;
  };
  using Svids = std::map<std::string, Held, std::less<>>;

  void Index(const std::string& id, const Held& held);
  void Unindex(const std::string& id, const Held& held);

  Svids svids_;
  std::set<std::pair<absl::Time, std::string>> by_rotation_;
  std::set<std::pair<absl::Time, std::string>> by_expiry_;
  std::set<std::pair<absl::Duration, std::string>> by_use_;
  std::set<std::string, std::less<>> expired_;
};

}  // namespace assay
