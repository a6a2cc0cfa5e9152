// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/audit_lines.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "agent/audit_file.h"

namespace assay {
namespace {

using nlohmann::ordered_json;

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

// To the hundredth of a second, which is what the kernel counts by.
std::string StartText(int64_t started_at_ms) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E2SZ", absl::FromUnixMillis(started_at_ms),
                          absl::UTCTimeZone());
}

void AddReceiver(const roles::Receiver& receiver, ordered_json& line) {
  line["service"] = receiver.service();
  line["method"] = receiver.method();
  line["pid"] = receiver.pid();
  if (const roles::Origin& origin = receiver.origin(); origin.start_ticks() > 0) {
    line["pid_started"] = StartText(origin.started_at_ms());
    line["pid_start_ticks"] = origin.start_ticks();
  }
  line["uid"] = receiver.uid();
  if (!receiver.executable_sha256().empty()) {
    line["executable_sha256"] = receiver.executable_sha256();
  }
  if (!receiver.origin().cgroup().empty()) {
    line["cgroup"] = receiver.origin().cgroup();
  }
  if (receiver.for_pid() != 0) {
    line["for_pid"] = receiver.for_pid();
  }
}

void AddKey(const roles::HandedOutKey& key, ordered_json& line) {
  line["entry"] = key.entry_id();
  line["spiffe_id"] = key.spiffe_id();
  if (!key.serial().empty()) {
    line["serial"] = key.serial();
  }
  if (key.audience_size() > 0) {
    line["audience"] = std::vector<std::string>(key.audience().begin(), key.audience().end());
  }
  if (!key.jti().empty()) {
    line["jti"] = key.jti();
  }
  line["expires"] = TimeText(absl::FromUnixSeconds(key.expires_at()));
}

// The members behind those that every line begins with.
std::string Join(std::string members, const ordered_json& line) {
  const std::string text = line.dump(/*indent=*/-1, /*indent_char=*/' ', /*ensure_ascii=*/true,
                                     ordered_json::error_handler_t::replace);
  members += ",";
  members.append(text, 1, text.size() - 2);
  return members;
}

}  // namespace

absl::Status CheckHandedOut(const roles::HandedOutKeys& keys) {
  size_t longest = 0;
  for (const roles::HandedOutKey& key : keys.keys()) {
    longest = std::max(longest, key.ByteSizeLong());
  }
  if (keys.receiver().ByteSizeLong() + longest > kMaxHandedOutBytes) {
    return InvalidArgument("a key for the audit log has {} bytes, {} are allowed",
                           keys.receiver().ByteSizeLong() + longest, kMaxHandedOutBytes);
  }
  return absl::OkStatus();
}

std::string HandedOutLine(absl::Time time, const roles::Receiver& receiver,
                          const roles::HandedOutKey& key) {
  ordered_json line;
  AddReceiver(receiver, line);
  AddKey(key, line);
  return Join(
      AuditMembers(time, key.kind() == roles::HandedOutKey::JWT_SVID ? "jwt_svid" : "x509_svid"),
      line);
}

std::string UnwrittenLine(absl::Time time, uint64_t keys) {
  return Join(AuditMembers(time, "unwritten"), {{"count", keys}});
}

}  // namespace assay
