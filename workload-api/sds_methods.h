// SPDX-License-Identifier: GPL-3.0-or-later
// The three methods of SDS. StreamSecrets answers with all that is asked for whenever something of
// it is new or gone, DeltaSecrets with what is new and what is gone, FetchSecrets once.
#pragma once

#include <memory>

#include "rpc/call.h"
#include "workload-api/sds_call.h"

namespace assay {

std::unique_ptr<rpc::CallHandler> MakeStreamSecrets(rpc::Call& call,
                                                    const SdsCall::Context& context);
std::unique_ptr<rpc::CallHandler> MakeDeltaSecrets(rpc::Call& call,
                                                   const SdsCall::Context& context);
std::unique_ptr<rpc::CallHandler> MakeFetchSecrets(rpc::Call& call,
                                                   const SdsCall::Context& context);

}  // namespace assay
