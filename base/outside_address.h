// SPDX-License-Identifier: GPL-3.0-or-later
// Which network addresses may be another machine's, as far as the address itself tells: what a
// stranger names must not lead to loopback, to the link, or to a cloud's metadata service. That an
// address is one of this machine's own interfaces it does not tell.
#pragma once

#include <sys/socket.h>

namespace assay {

// False for loopback, unspecified, link-local, multicast, broadcast and reserved addresses of IPv4
// and IPv6 (RFC 6890), for the metadata services of clouds at other ones, for IPv6 addresses that
// stand for such ones of IPv4 or, as NAT64's of a network's own, may, and for other families.
bool IsOutside(const sockaddr& address);

}  // namespace assay
