// SPDX-License-Identifier: GPL-3.0-or-later
// The nodes that have attested, and the join tokens that are not yet used. Owned by the loop's
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spiffe/selector.h"
#include "spiffe/spiffe_id.h"

namespace assay {

struct Node {
  SpiffeId id;
  std::string attestation_type = {};
  std::string serial = {};          // Of the agent's SVID, decimal; empty: the node is banned.
  int64_t expires_at = 0;           // Unix seconds, of that SVID.
  std::string pending_serial = {};  // Of a renewed SVID that was not yet used; empty: none.
  int64_t pending_expires_at = 0;
  std::vector<Selector> selectors = {};  // What attestation proved; normalized.
  bool can_reattest = false;
  std::string agent_version = {};

  bool banned() const { return serial.empty(); }
};

// By SPIFFE ID, in the order of their text.
class NodeSet final {
 public:
  // Null when there is none.
  const Node* Find(const SpiffeId& id) const;
  void Put(Node node);
  void Erase(const SpiffeId& id);
  const std::map<std::string, Node, std::less<>>& all() const { return nodes_; }

 private:
  std::map<std::string, Node, std::less<>> nodes_;
};

// A join token is known by its digest alone, in memory and on disk.
struct JoinToken {
  std::string digest;      // SHA-256
  int64_t expires_at = 0;  // Unix seconds.
  // The alias that the node gets when it attests; its entry would tell the token before.
  std::optional<SpiffeId> alias = {};

  static std::string DigestOf(std::string_view token);
};

class JoinTokenSet final {
 public:
  // Null when it does not exist or has been used.
  const JoinToken* Find(std::string_view digest) const;
  void Put(JoinToken token);
  void Erase(std::string_view digest);
  // The digests of those that ended before this time.
  std::vector<std::string> Expired(int64_t now) const;

 private:
  std::map<std::string, JoinToken, std::less<>> tokens_;
};

}  // namespace assay
