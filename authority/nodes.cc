// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/nodes.h"

#include "crypto/digest.h"

namespace assay {

const Node* NodeSet::Find(const SpiffeId& id) const {
  const auto found = nodes_.find(id.ToString());
  return found == nodes_.end() ? nullptr : &found->second;
}

void NodeSet::Put(Node node) {
  std::string key = node.id.ToString();
  nodes_.insert_or_assign(std::move(key), std::move(node));
}

void NodeSet::Erase(const SpiffeId& id) { nodes_.erase(id.ToString()); }

std::string JoinToken::DigestOf(std::string_view token) {
  return crypto::Digest(crypto::Hash::kSha256, token);
}

const JoinToken* JoinTokenSet::Find(std::string_view digest) const {
  const auto found = tokens_.find(digest);
  return found == tokens_.end() ? nullptr : &found->second;
}

void JoinTokenSet::Put(JoinToken token) {
  std::string key = token.digest;
  tokens_.insert_or_assign(std::move(key), std::move(token));
}

void JoinTokenSet::Erase(std::string_view digest) {
  if (const auto found = tokens_.find(digest); found != tokens_.end()) {
    tokens_.erase(found);
  }
}

std::vector<std::string> JoinTokenSet::Expired(int64_t now) const {
  std::vector<std::string> digests;
  for (const auto& [digest, token] : tokens_) {
    if (token.expires_at < now) {
      digests.push_back(digest);
    }
  }
  return digests;
}

}  // namespace assay
