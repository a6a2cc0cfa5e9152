// SPDX-License-Identifier: GPL-3.0-or-later
// Who may call what: anyone, an agent with an SVID in force, an operator (on the admin socket, or
// with the SVID of an admin entry). Owned by the loop's thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "authority/state.h"
#include "rpc/call.h"

namespace assay {

enum class Access { kAnyone, kAgent, kOperator, kAgentOrOperator };

// What a call's first message costs of a rate limit.
struct RateRule {
  enum class Key { kAddress, kAgent };  // Whose bucket it is taken of.

  RateLimit* limit = nullptr;       // Null: none.
  std::string_view rejection = {};  // Text that lives on, such as "rejecting request due to ...".
  Key key = Key::kAddress;
  int (*cost)(std::string_view bytes) = nullptr;  // Of this message, 0: nothing; null: 1.
};

// How a method is guarded.
struct Rule {
  Access access;
  size_t max_request_bytes = 64 << 10;  // Of one message.
  RateRule rate = {};
};
// Operators send whole books.
inline Rule OperatorsOnly() { return {.access = Access::kOperator, .max_request_bytes = 4 << 20}; }

// Why an agent's SVID does not count (spire.api.types.PermissionDeniedDetails); the agent acts on
// the number.
enum class DenialReason {
  kNone = 0,
  kExpired = 1,
  kNotAttested = 2,
  kNotActive = 3,
  kBanned = 4,
  kMustReattest = 5,
};

// PermissionDenied with its google.rpc.Status for grpc-status-details-bin, empty without a reason.
struct Denial {
  absl::Status status;
  std::string details = {};
};
Denial Deny(DenialReason reason, std::string_view message);

// The SPIFFE ID that the caller's certificate proved; none without one.
std::optional<SpiffeId> CallerId(const rpc::Peer& peer);

class Gate final {
 public:
  enum class Transport { kTcp, kLocal };

  // The state must outlive the gate.
  Gate(State& state, Transport transport) : state_(state), transport_(transport) {}

  // Adds a method whose handlers are made only for those who may call it; others are answered
  // PermissionDenied. The gate must outlive the registry's handlers.
  void Add(rpc::Registry& registry, std::string method, const Rule& rule, rpc::MakeHandler make);

  // Whether the caller may, at this moment. A renewed SVID that is used for the first time takes
  // the place of the one before.
  Denial Judge(Access access, std::string_view method, const rpc::Peer& peer);

 private:
  bool IsOperator(const SpiffeId& id, const crypto::Certificate& leaf) const;
  DenialReason CheckAgent(const SpiffeId& id, const crypto::Certificate& leaf);
  void Activate(const Node& node);

  State& state_;
  const Transport transport_;
};

}  // namespace assay
