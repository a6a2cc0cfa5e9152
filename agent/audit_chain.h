// SPDX-License-Identifier: GPL-3.0-or-later
// The form of the audit log's lines. Each is a JSON object in ASCII whose last two members are
// "previous", the hash of the line before it, and "hash", its own: SHA-256 in hex of the line's
// bytes up to the comma before "hash". So a line cannot change, go or come without that the chain
// breaks there, for everybody but one who writes all lines behind it anew.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace assay {

constexpr size_t kMaxAuditLineBytes = 128 << 10;

// What the first line of all has for the hash of the one before it.
const std::string& NoAuditLine();

// A piece of a line that was left at the end of the file, as when the machine stops.
struct TornAuditLine {
  uint64_t bytes = 0;
  std::string sha256;  // Hex.
  bool operator==(const TornAuditLine&) const = default;
};
TornAuditLine TornAuditLineOf(std::string_view piece);

struct AuditLine {
  std::string previous;
  std::string hash;
  // What stands before this line, and was not of the chain when it was written.
  std::optional<TornAuditLine> torn;
};

// A line without its line feed; InvalidArgument when it is none, or when its hash is not its own.
absl::StatusOr<AuditLine> ParseAuditLine(std::string_view text);

struct SealedAuditLine {
  std::string text;  // With its line feed.
  std::string hash;
};
// The line of a JSON object, whose members come without the brace that ends it.
SealedAuditLine SealAuditLine(std::string_view members, std::string_view previous);

}  // namespace assay
