// SPDX-License-Identifier: GPL-3.0-or-later
// grpc.reflection.v1 and v1alpha: tells tools such as grpcurl which services a registry offers and
// what their messages look like (WLEP-21).
#pragma once

#include "rpc/call.h"

namespace assay {

// Speaks of all methods that the registry has when it is asked. The registry must outlive its
// servers. Services whose descriptors are not linked into this process are listed by name alone.
void AddReflection(rpc::Registry& registry);

}  // namespace assay
