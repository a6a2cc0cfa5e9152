// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/outside_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace assay {
namespace {

// Metadata services that are not link-local: Alibaba Cloud's, Azure's.
constexpr std::array<uint32_t, 2> kMetadataFour = {0x646464c8, 0xa83f8110};
// The networks of Amazon's (fd00:ec2::254 and others), Oracle's (fd00:c1::a9fe:a9fe), Google's
// (fd20:ce::254) and Scaleway's (fd00:42::42), which nobody else should have chosen (RFC 4193
// §3.2).
constexpr std::array<std::array<uint8_t, 6>, 4> kMetadataSix = {{{0xfd, 0x00, 0x0e, 0xc2},
                                                                 {0xfd, 0x00, 0x00, 0xc1},
                                                                 {0xfd, 0x20, 0x00, 0xce},
                                                                 {0xfd, 0x00, 0x00, 0x42}}};

bool IsOutsideFour(uint32_t address) {
  const uint32_t first = address >> 24;
  const bool is_link_local = address >> 16 == 0xa9fe;  // 169.254.0.0/16
  const bool is_metadata =
      std::find(kMetadataFour.begin(), kMetadataFour.end(), address) != kMetadataFour.end();
  return first != 0 && first != 127 && first < 224 && !is_link_local && !is_metadata;
}

// A prefix behind which an address of IPv6 has one of IPv4.
struct WithFour {
  std::array<uint8_t, 12> prefix;
  size_t size;
};
// Compatible, mapped, translated, 6to4 (RFC 4291 §2.5.5, RFC 6052 §2.1, RFC 3056 §2).
constexpr std::array<WithFour, 4> kWithFour = {{{{}, 12},
                                                {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 12},
                                                {{0, 0x64, 0xff, 0x9b}, 12},
                                                {{0x20, 0x02}, 2}}};
// 64:ff9b:1::/48, in which every network translates in its own way (RFC 8215).
constexpr std::array<uint8_t, 6> kLocalTranslation = {0, 0x64, 0xff, 0x9b, 0, 1};

bool IsOutsideSix(const in6_addr& address) {
  const uint8_t* bytes = address.s6_addr;
  for (const auto& [prefix, size] : kWithFour) {
    if (std::equal(prefix.begin(), prefix.begin() + size, bytes)) {
      const uint8_t* four = bytes + size;
      return IsOutsideFour(static_cast<uint32_t>(four[0]) << 24 | four[1] << 16 | four[2] << 8 |
                           four[3]);
    }
  }
  return !IN6_IS_ADDR_LINKLOCAL(&address) && !IN6_IS_ADDR_SITELOCAL(&address) &&
         !IN6_IS_ADDR_MULTICAST(&address) &&
         !std::equal(kLocalTranslation.begin(), kLocalTranslation.end(), bytes) &&
         std::none_of(kMetadataSix.begin(), kMetadataSix.end(), [bytes](const auto& network) {
           return std::equal(network.begin(), network.end(), bytes);
         });
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
