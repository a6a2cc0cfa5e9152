// SPDX-License-Identifier: GPL-3.0-or-later
// Keys of JWT-SVIDs as roles tell each other of them.
#pragma once

#include "assay/roles.pb.h"
#include "spiffe/jwt_svid_key.h"

namespace assay {

inline JwtSvidKey KeyOf(const roles::JwtSvidKey& message) {
  return {.entry_id = message.entry_id(),
          .audience = {message.audience().begin(), message.audience().end()}};
}

// Of a message that has none yet.
inline void Fill(const JwtSvidKey& key, roles::JwtSvidKey& message) {
  message.set_entry_id(key.entry_id);
  message.mutable_audience()->Add(key.audience.begin(), key.audience.end());
}

}  // namespace assay
