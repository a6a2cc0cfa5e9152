// SPDX-License-Identifier: GPL-3.0-or-later
// What is told of each key, and of each token, that a call hands to a process: to whom, by which
// call, and what it is. A call tells it here, by DeclareHandedOut, before it sends the message that
// has them. Owned by the event loop's thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "rpc/call.h"
#include "workload-api/call_context.h"
#include "workload-api/identity_set.h"
#include "workload-api/served_state.h"

namespace assay {

struct HandedOut {
  enum class Kind { kX509Svid, kJwtSvid };

  Kind kind = Kind::kX509Svid;
  std::string entry_id;
  std::string spiffe_id;
  int64_t expires_at = 0;  // Unix seconds.
  std::string serial;      // Of an X509-SVID, in decimal.
  // Of a JWT-SVID; a token without a jti has none.
  std::vector<std::string> audience;
  std::string jti;
};

struct AuditReceiver {
  std::string_view service;  // As the log calls them: "WorkloadAPI", "FetchX509SVID".
  std::string_view method;
  pid_t pid = 0;
  uid_t uid = 0;
  AuditedCaller caller;
};

class Audit {
 public:
  virtual ~Audit() = default;
  // Takes note of what is about to be sent. Unavailable: it must not be, for that cannot be noted.
  virtual absl::Status Take(const AuditReceiver& receiver, std::span<const HandedOut> what) = 0;
};

// Tells the context's audit, where there is one, what a call is about to send to its caller. On
// failure it is not to be sent, which the log has been told of.
absl::Status DeclareHandedOut(const CallContext& context, rpc::Call& call, std::string_view method,
                              std::span<const HandedOut> what);
// The same of the keys in the answer that the identities have, x509_svids().
absl::Status DeclareX509Svids(const CallContext& context, rpc::Call& call, std::string_view method,
                              IdentitySet& identities);

// The X509-SVID that the state has for an entry.
HandedOut X509HandedOut(const EntryIndex::View& entry, const ServedState::Svid& svid);
// A JWT-SVID that was minted for an entry.
HandedOut JwtHandedOut(const EntryIndex::View& entry, const std::vector<std::string>& audience,
                       std::string_view token, int64_t expires_at);

}  // namespace assay
