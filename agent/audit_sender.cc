// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/audit_sender.h"

#include <algorithm>
#include <string>
#include <utility>

#include "assay/roles.pb.h"
#include "base/log.h"

namespace assay {
namespace {

// Of one message, which may not be longer than a channel's.
constexpr size_t kMaxMessageBytes = 64 << 10;
// Of one text that comes from elsewhere, and of all values of an audience.
constexpr size_t kMaxTextBytes = 1 << 10;
constexpr size_t kMaxAudienceBytes = 8 << 10;

std::string Cut(std::string_view text) { return std::string(text.substr(0, kMaxTextBytes)); }

void Fill(const AuditReceiver& receiver, roles::Receiver& out) {
  out.set_service(std::string(receiver.service));
  out.set_method(std::string(receiver.method));
  out.set_pid(receiver.pid);
  out.set_uid(receiver.uid);
  const AuditedCaller& caller = receiver.caller;
  out.set_executable_sha256(Cut(caller.executable_sha256));
  out.set_for_pid(caller.asks_for);
  roles::Origin& origin = *out.mutable_origin();
  origin.set_start_ticks(caller.start_ticks);
  origin.set_started_at_ms(absl::ToUnixMillis(caller.started));
  origin.set_cgroup(Cut(caller.cgroup));
}

void Fill(const HandedOut& key, roles::HandedOutKey& out) {
  out.set_kind(key.kind == HandedOut::Kind::kJwtSvid ? roles::HandedOutKey::JWT_SVID
                                                     : roles::HandedOutKey::X509_SVID);
  out.set_entry_id(Cut(key.entry_id));
  out.set_spiffe_id(key.spiffe_id);
  out.set_expires_at(key.expires_at);
  out.set_serial(key.serial);
  out.set_jti(Cut(key.jti));
  size_t bytes = 0;
  for (const std::string& value : key.audience) {
    bytes += value.size();
    if (bytes > kMaxAudienceBytes) {
      break;
    }
    out.add_audience(value);
  }
}

}  // namespace

absl::Status AuditSender::Take(const AuditReceiver& receiver, std::span<const HandedOut> what) {
  if (options_.refuse && (failing_ || !HasRoom())) {
    return Unavailable("the audit log cannot be written at this time");
  }
  if (!HasRoom()) {
    if (unwritten_ == 0) {
      log::Error("Audit log does not keep up: what is handed out has no lines in it");
    }
    unwritten_ += what.size();
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(TellUnwritten());
  roles::HandedOutKeys keys;
  Fill(receiver, *keys.mutable_receiver());
  size_t bytes = keys.ByteSizeLong();
  for (const HandedOut& one : what) {
    roles::HandedOutKey& key = *keys.add_keys();
    Fill(one, key);
    bytes += key.ByteSizeLong();
    if (bytes > kMaxMessageBytes || &one == &what.back()) {
      RETURN_IF_ERROR(Tell(keys));
      keys.clear_keys();
      bytes = keys.ByteSizeLong();
    }
  }
  return absl::OkStatus();
}

absl::Status AuditSender::Tell(const roles::HandedOutKeys& keys) {
  sent_ += keys.ByteSizeLong();
  return options_.tell(keys);
}

absl::Status AuditSender::TellUnwritten() {
  if (unwritten_ == 0) {
    return absl::OkStatus();
  }
  log::Warn("Audit log keeps up again", {{"without_lines", unwritten_}});
  roles::HandedOutKeys keys;
  keys.set_unwritten(std::exchange(unwritten_, 0));
  return Tell(keys);
}

void AuditSender::OnState(const roles::AuditState& state) {
  written_ = std::clamp(state.written(), written_, sent_);
  failing_ = state.failing();
  if (HasRoom()) {
    if (absl::Status told = TellUnwritten(); !told.ok()) {
      log::Error("Telling the monitor what was handed out failed", {{"error", told}});
    }
  }
}

}  // namespace assay
