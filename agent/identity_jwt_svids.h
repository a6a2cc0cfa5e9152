// SPDX-License-Identifier: GPL-3.0-or-later
// The JWT-SVIDs that this node has ready, each with the moment from which on it is to be replaced,
// and when a caller last got it: when there are too many, of the entries that have most the least
// recently used makes way. Owned by the identity thread.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fair_places.h"
#include "base/secret.h"
#include "spiffe/jwt_svid_key.h"

namespace assay {

struct ReadyJwtSvid {
  std::string spiffe_id;
  Secret token;
  std::string key_id;  // Of the authority that signed it.
  absl::Time expires;
  absl::Time refresh;
  absl::Time late = absl::InfiniteFuture();  // Half of its life is over; not before refresh.

  ReadyJwtSvid Clone() const { return {spiffe_id, token.Clone(), key_id, expires, refresh, late}; }
};

// What serve is told of one.
struct JwtNews {
  JwtSvidKey key;
  uint64_t request = 0;              // Not 0: for the call of this number, not to be kept.
  std::optional<ReadyJwtSvid> svid;  // Nothing, and no error: it is to be forgotten.
  std::string error = {};
};

class JwtSvidStore final {
 public:
  JwtSvidStore() = default;
  JwtSvidStore(const JwtSvidStore&) = delete;
  JwtSvidStore& operator=(const JwtSvidStore&) = delete;

  const ReadyJwtSvid* Find(const JwtSvidKey& key) const;
  // New or replaced, and not used yet; a new one counts as the last used.
  void Put(const JwtSvidKey& key, ReadyJwtSvid svid);
  // Whether there was one.
  bool Remove(const JwtSvidKey& key);
  void Clear();
  // A caller got it.
  void Use(const JwtSvidKey& key);
  size_t size() const { return svids_.size(); }

  std::vector<JwtSvidKey> Keys() const;
  std::vector<JwtSvidKey> OfEntry(std::string_view entry_id) const;
  std::vector<JwtSvidKey> SignedBy(const std::set<std::string>& key_ids) const;
  std::vector<JwtSvidKey> NotSignedBy(const std::set<std::string>& key_ids) const;

  // The next moment at which one that is used is to be replaced, or one expires.
  std::optional<absl::Time> NextDeadline() const;
  // Those in use that are to be replaced by now; each is named once.
  std::vector<JwtSvidKey> TakeDue(absl::Time now);
  // Removes and names those that have expired.
  std::vector<JwtSvidKey> TakeExpired(absl::Time now);
  // Removes and names some until so many are left: each time of the entries that have most the
  // least recently used.
  std::vector<JwtSvidKey> Evict(size_t most);

 private:
  struct Held {
    ReadyJwtSvid svid;
    uint64_t last_use = 0;  // The number of it.
    bool used = false;      // Since it was put, and so in by_refresh_ until it is taken from there.
  };
  using Svids = std::map<JwtSvidKey, Held>;

  void Forget(Svids::iterator at);
  void ForgetTimes(Svids::iterator at);
  void NoteUse(Svids::iterator at);

  Svids svids_;
  std::set<std::pair<absl::Time, JwtSvidKey>> by_refresh_;
  std::set<std::pair<absl::Time, JwtSvidKey>> by_expiry_;
  std::map<uint64_t, Svids::iterator> by_use_;
  FairPlaces uses_;  // Of entries, by the numbers of their last uses.
  uint64_t last_use_ = 0;
};

}  // namespace assay
