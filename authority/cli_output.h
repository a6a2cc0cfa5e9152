// SPDX-License-Identifier: GPL-3.0-or-later
// How the command line prints what the server API answers, and reads what it sends: the same text
// and the same JSON as the reference's command line.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace google::protobuf {
class Message;
}
namespace spire::api::types {
class Agent;
class Entry;
class Selector;
class SPIFFEID;
}  // namespace spire::api::types

namespace assay {

// One line: members sorted, names as in the .proto, empty fields included but for messages, 64-bit
// numbers as strings, bytes in base64, '<', '>' and '&' escaped; a newline at the end.
std::string ToJsonLine(const google::protobuf::Message& message);

// The lines of an entry or an agent, an empty line at the end.
std::string EntryText(const spire::api::types::Entry& entry);
std::string AgentText(const spire::api::types::Agent& agent);

// "1 entry", "0 entries".
std::string Counted(int64_t count, std::string_view one, std::string_view many);
// In double quotes, with Go's escapes.
std::string GoQuoted(std::string_view text);
// "2100-01-01 00:00:00 +0000 UTC".
std::string TimeText(int64_t unix_seconds, absl::TimeZone zone);

// "spiffe://example.org/web" of its two parts, empty for an empty ID.
std::string IdText(const spire::api::types::SPIFFEID& id);
absl::StatusOr<spire::api::types::SPIFFEID> ParseIdFlag(std::string_view text);
// Cut at the first colon; what its parts may hold is the upstream's to say.
absl::StatusOr<spire::api::types::Selector> ParseSelectorFlag(std::string_view text);
// Seconds that fit the wire, or an InvalidArgument naming what they are for.
absl::StatusOr<int32_t> ToInt32(int64_t value, std::string_view what);
// A flag's ttl in seconds, rounded up.
absl::StatusOr<int32_t> TtlSeconds(absl::Duration ttl);
// The warning that an SVID ("X509-SVID") lives shorter than was asked for; empty when it does not.
std::string CappedText(std::string_view kind, int64_t expires_at, absl::Duration ttl,
                       absl::Time now);

}  // namespace assay
