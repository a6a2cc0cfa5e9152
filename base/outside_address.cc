// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/outside_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace assay {
namespace {

bool IsOutsideFour(uint32_t address) {
  const uint32_t first = address >> 24;
  const bool is_link_local = address >> 16 == 0xa9fe;  // 169.254.0.0/16
  return first != 0 && first != 127 && first < 224 && !is_link_local;
}

// The addresses of IPv6 whose last four bytes are one of IPv4: compatible, mapped, and translated
// (RFC 4291 §2.5.5, RFC 6052 §2.1).
constexpr std::array<std::array<uint8_t, 12>, 3> kWithFour = {
    {{}, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, {0, 0x64, 0xff, 0x9b}}};

bool IsOutsideSix(const in6_addr& address) {
  for (const auto& prefix : kWithFour) {
    if (std::equal(prefix.begin(), prefix.end(), address.s6_addr)) {
      const uint8_t* four = address.s6_addr + prefix.size();
      return IsOutsideFour(static_cast<uint32_t>(four[0]) << 24 | four[1] << 16 | four[2] << 8 |
                           four[3]);
    }
  }
  return !IN6_IS_ADDR_LINKLOCAL(&address) && !IN6_IS_ADDR_SITELOCAL(&address) &&
         !IN6_IS_ADDR_MULTICAST(&address);
}

}  // namespace

bool IsOutside(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    return IsOutsideFour(ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr));
  }
  return address.sa_family == AF_INET6 &&
         IsOutsideSix(reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

}  // namespace assay
