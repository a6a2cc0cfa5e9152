// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/agent_convert.h"

#include "authority/id_convert.h"
#include "spire/api/types/agent.pb.h"

namespace assay {

namespace types = spire::api::types;

namespace {

types::AgentMask MakeAllOfAgent() {
  types::AgentMask mask;
  mask.set_attestation_type(true);
  mask.set_x509svid_serial_number(true);
  mask.set_x509svid_expires_at(true);
  mask.set_selectors(true);
  mask.set_banned(true);
  mask.set_can_reattest(true);
  mask.set_agent_version(true);
  return mask;
}

}  // namespace

const types::AgentMask& AllOfAgent() {
  static const types::AgentMask mask = MakeAllOfAgent();
  return mask;
}

void ToProto(const Node& node, const types::AgentMask& mask, types::Agent* out) {
  ToProto(node.id, out->mutable_id());
  if (mask.attestation_type()) {
    out->set_attestation_type(node.attestation_type);
  }
  if (mask.x509svid_serial_number()) {
    out->set_x509svid_serial_number(node.serial);
  }
  if (mask.x509svid_expires_at()) {
    out->set_x509svid_expires_at(node.expires_at);
  }
  if (mask.selectors()) {
    ToProto(node.selectors, out->mutable_selectors());
  }
  if (mask.agent_version()) {
    out->set_agent_version(node.agent_version);
  }
  out->set_banned(mask.banned() && node.banned());
  out->set_can_reattest(mask.can_reattest() && node.can_reattest);
}

std::string EncodeNode(const Node& node) {
  types::Agent message;
  ToProto(node, AllOfAgent(), &message);
  return message.SerializeAsString();
}

absl::StatusOr<Node> DecodeNode(std::string_view bytes) {
  types::Agent message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return DataLoss("a stored node is damaged");
  }
  absl::StatusOr<SpiffeId> id = ParseId(message.id());
  absl::StatusOr<std::vector<Selector>> selectors = ParseSelectors(message.selectors());
  if (!id.ok() || !selectors.ok()) {
    return DataLoss("stored node {}: {}", Quoted(message.id().path()),
                    Message(id.ok() ? selectors.status() : id.status()));
  }
  return Node{.id = *std::move(id),
              .attestation_type = message.attestation_type(),
              .serial = message.x509svid_serial_number(),
              .expires_at = message.x509svid_expires_at(),
              .selectors = *std::move(selectors),
              .can_reattest = message.can_reattest(),
              .agent_version = message.agent_version()};
}

}  // namespace assay
