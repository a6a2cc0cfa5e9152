// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/monitor_sockets.h"

#include <unistd.h>

#include <utility>

#include "assay/roles.pb.h"
#include "rpc/listen_socket.h"

namespace assay {
namespace {

constexpr mode_t kWorkloadSocketMode = 0777;
constexpr mode_t kAdminSocketMode = 0770;

}  // namespace

absl::Status MonitorSockets::Bind(const MonitorOptions& options) {
  RETURN_IF_ERROR(BindUnix(options.socket_path, roles::WORKLOAD_API, kWorkloadSocketMode));
  RETURN_IF_ERROR(BindUnix(options.admin_socket_path, roles::ADMIN, kAdminSocketMode));
  RETURN_IF_ERROR(BindTcp(options.health, roles::HEALTH));
  return BindTcp(options.metrics, roles::METRICS);
}

absl::Status MonitorSockets::BindUnix(const std::string& path, roles::Endpoint endpoint,
                                      mode_t mode) {
  if (path.empty()) {
    return absl::OkStatus();
  }
  absl::StatusOr<UniqueFd> listener = rpc::ListenUnix(path, mode);
  if (listener.status().code() == absl::StatusCode::kAlreadyExists) {
    return FailedPrecondition("another process serves {}: stop it, or choose another socket_path",
                              path);
  }
  RETURN_IF_ERROR(WithContext(listener.status(), fmt::format("listening on {}", path)));
  sockets_.push_back({endpoint, path, std::move(*listener)});
  return absl::OkStatus();
}

absl::Status MonitorSockets::BindTcp(const std::optional<MonitorListener>& where,
                                     roles::Endpoint endpoint) {
  if (!where.has_value()) {
    return absl::OkStatus();
  }
  absl::StatusOr<UniqueFd> listener = rpc::ListenTcpHost(where->host, where->port);
  RETURN_IF_ERROR(WithContext(listener.status(), where->option));
  sockets_.push_back({endpoint, {}, std::move(*listener)});
  return absl::OkStatus();
}

void MonitorSockets::Unlink() const {
  for (const Socket& socket : sockets_) {
    if (!socket.path.empty()) {
      unlink(socket.path.c_str());
    }
  }
}

}  // namespace assay
