// SPDX-License-Identifier: GPL-3.0-or-later
// Registration entries between the server API's message and ours.
#pragma once

#include "base/status.h"
#include "spiffe/registration_entry.h"

namespace spire::api::types {
class Entry;
class EntryMask;
}  // namespace spire::api::types

namespace assay {

// A new entry of this trust domain as an operator sends it; InvalidArgument with the field when it
// is malformed. The ID may be empty; revision and creation time are not taken over.
absl::StatusOr<RegistrationEntry> ParseEntry(const TrustDomain& trust_domain,
                                             const spire::api::types::Entry& sent);
// What an entry becomes when the fields of the mask are set as sent.
absl::StatusOr<RegistrationEntry> ApplyUpdate(const RegistrationEntry& entry,
                                              const spire::api::types::Entry& sent,
                                              const spire::api::types::EntryMask& mask);
// A mask of all fields, which is what an absent one means.
const spire::api::types::EntryMask& AllOfEntry();
// The fields of the mask, and the ID.
void ToProto(const RegistrationEntry& entry, const spire::api::types::EntryMask& mask,
             spire::api::types::Entry* out);

// The whole entry as bytes for the disk, and back; bytes that are none are DataLoss.
std::string EncodeEntry(const RegistrationEntry& entry);
absl::StatusOr<RegistrationEntry> DecodeEntry(std::string_view bytes);

}  // namespace assay
