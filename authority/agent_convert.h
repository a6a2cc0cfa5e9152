// SPDX-License-Identifier: GPL-3.0-or-later
// Nodes between the server API's agents, the disk and ours.
#pragma once

#include <string>
#include <string_view>

#include "authority/nodes.h"
#include "base/status.h"

namespace spire::api::types {
class Agent;
class AgentMask;
}  // namespace spire::api::types

namespace assay {

// A mask of all fields, which is what an absent one means.
const spire::api::types::AgentMask& AllOfAgent();
// The fields of the mask, and the ID.
void ToProto(const Node& node, const spire::api::types::AgentMask& mask,
             spire::api::types::Agent* out);

// What is stored of a node besides its pending serial, as bytes, and back; bytes that are none are
// DataLoss.
std::string EncodeNode(const Node& node);
absl::StatusOr<Node> DecodeNode(std::string_view bytes);

}  // namespace assay
