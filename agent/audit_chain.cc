// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/audit_chain.h"

#include <algorithm>

#include "crypto/digest.h"
#include "crypto/json_object.h"

namespace assay {
namespace {

constexpr size_t kHexBytes = 64;
constexpr std::string_view kPrevious = ",\"previous\":\"";
constexpr std::string_view kHash = ",\"hash\":\"";
constexpr std::string_view kEnd = "\"}";
// Of the two members at the end.
constexpr size_t kHashBytes = kHash.size() + kHexBytes + kEnd.size();
constexpr size_t kPreviousBytes = kPrevious.size() + kHexBytes + 1;

std::string HashOf(std::string_view text) {
  return crypto::HexEncode(crypto::Digest(crypto::Hash::kSha256, text));
}

bool IsHash(std::string_view text) {
  return text.size() == kHexBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

absl::StatusOr<std::optional<TornAuditLine>> TornOf(const crypto::JsonObject& line) {
  if (!line.Contains("torn")) {
    return std::nullopt;
  }
  ASSIGN_OR_RETURN(const crypto::JsonObject torn, line.Object("torn"));
  ASSIGN_OR_RETURN(const int64_t bytes, torn.Integer("bytes"));
  ASSIGN_OR_RETURN(std::string sha256, torn.Text("sha256"));
  if (bytes <= 0 || !IsHash(sha256)) {
    return InvalidArgument("\"torn\" is not of bytes and their hash");
  }
  return TornAuditLine{static_cast<uint64_t>(bytes), std::move(sha256)};
}

}  // namespace

const std::string& NoAuditLine() {
  static const std::string kNone(kHexBytes, '0');
  return kNone;
}

TornAuditLine TornAuditLineOf(std::string_view piece) { return {piece.size(), HashOf(piece)}; }

absl::StatusOr<AuditLine> ParseAuditLine(std::string_view text) {
  if (text.size() > kMaxAuditLineBytes) {
    return InvalidArgument("it has {} bytes, and a line has {} at most", text.size(),
                           kMaxAuditLineBytes);
  }
  if (text.size() < kPreviousBytes + kHashBytes) {
    return InvalidArgument("it is too short for a line");
  }
  const std::string_view hashed = text.substr(0, text.size() - kHashBytes);
  const std::string_view end = text.substr(hashed.size());
  const std::string_view previous = hashed.substr(hashed.size() - kPreviousBytes);
  AuditLine line{.previous = std::string(previous.substr(kPrevious.size(), kHexBytes)),
                 .hash = std::string(end.substr(kHash.size(), kHexBytes)),
                 .torn = {}};
  if (!end.starts_with(kHash) || !end.ends_with(kEnd) || !IsHash(line.hash) ||
      !previous.starts_with(kPrevious) || !previous.ends_with('"') || !IsHash(line.previous)) {
    return InvalidArgument("it does not end with the two hashes");
  }
  if (HashOf(hashed) != line.hash) {
    return InvalidArgument("it is not what its hash was taken of");
  }
  ASSIGN_OR_RETURN(const crypto::JsonObject object,
                   crypto::JsonObject::Parse(text, kMaxAuditLineBytes));
  ASSIGN_OR_RETURN(line.torn, TornOf(object));
  return line;
}

SealedAuditLine SealAuditLine(std::string_view members, std::string_view previous) {
  SealedAuditLine line;
  line.text.reserve(members.size() + kPreviousBytes + kHashBytes + 1);
  line.text.append(members).append(kPrevious).append(previous).append("\"");
  line.hash = HashOf(line.text);
  line.text.append(kHash).append(line.hash).append(kEnd).append("\n");
  return line;
}

}  // namespace assay
