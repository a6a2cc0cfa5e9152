// SPDX-License-Identifier: GPL-3.0-or-later
// The methods of the Entry service that change the book: whole batches in one transaction, with an
// outcome for each item.
#pragma once

#include "authority/state.h"
#include "rpc/call.h"

namespace spire::api::server::entry::v1 {
class BatchCreateEntryRequest;
class BatchDeleteEntryRequest;
class BatchUpdateEntryRequest;
}  // namespace spire::api::server::entry::v1

namespace assay {

void CreateEntries(State& state,
                   const spire::api::server::entry::v1::BatchCreateEntryRequest& request,
                   const rpc::Responder& responder);
void UpdateEntries(State& state,
                   const spire::api::server::entry::v1::BatchUpdateEntryRequest& request,
                   const rpc::Responder& responder);
void DeleteEntries(State& state,
                   const spire::api::server::entry::v1::BatchDeleteEntryRequest& request,
                   const rpc::Responder& responder);

}  // namespace assay
