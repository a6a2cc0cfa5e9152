// SPDX-License-Identifier: GPL-3.0-or-later
// A TCP connection by host name: every IPv4 and IPv6 address of it is tried, in the resolver's
// order.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace assay {

// A connected, non-blocking socket with TCP keepalive, so that a peer that vanished is noticed
// within two minutes. Blocks, at most timeout for each address. Unavailable says what the last
// address answered.
absl::StatusOr<UniqueFd> DialTcp(const std::string& host, uint16_t port, absl::Duration timeout);

}  // namespace assay
