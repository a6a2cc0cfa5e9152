// SPDX-License-Identifier: GPL-3.0-or-later
// The audit log's lines of what was handed out, in the form that SealAuditLine takes: JSON in
// ASCII, whatever bytes are in what serve says.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>

#include "assay/roles.pb.h"
#include "base/status.h"

namespace assay {

// What a key has in a message of serve, and what its receiver has, so that its line is no longer
// than a line may be.
constexpr size_t kMaxHandedOutBytes = 16 << 10;

// InvalidArgument for a message that no serve role makes.
absl::Status CheckHandedOut(const roles::HandedOutKeys& keys);

std::string HandedOutLine(absl::Time time, const roles::Receiver& receiver,
                          const roles::HandedOutKey& key);
// So many keys were handed out that have no line.
std::string UnwrittenLine(absl::Time time, uint64_t keys);

}  // namespace assay
