// SPDX-License-Identifier: GPL-3.0-or-later
// Which network addresses are of another machine, as far as the address itself tells: what a
// stranger names must not lead to this machine's own services or to its link's.
#pragma once

#include <sys/socket.h>

namespace assay {

// False for loopback, unspecified, link-local, multicast, broadcast and reserved addresses of IPv4
// and IPv6 (RFC 6890), for IPv6 addresses that stand for such ones of IPv4, and for other families.
bool IsOutside(const sockaddr& address);

}  // namespace assay
