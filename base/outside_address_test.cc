// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/outside_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace assay {
namespace {

bool IsOutsideText(const char* text) {
  sockaddr_in four{};
  four.sin_family = AF_INET;
  if (inet_pton(AF_INET, text, &four.sin_addr) == 1) {
    return IsOutside(reinterpret_cast<const sockaddr&>(four));
  }
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, text, &six.sin6_addr), 1) << text;
  return IsOutside(reinterpret_cast<const sockaddr&>(six));
}

TEST(OutsideAddressTest, KnowsThoseOfOtherMachines) {
  for (const char* outside :
       {"1.0.0.0", "10.0.0.1", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0",
        "192.168.0.1", "223.255.255.255", "2001:db8::1", "fd00::1", "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1", "100.100.100.201", "168.63.129.15", "fd00:ec3::254", "2002:a00:1::1",
        "64:ff9b:2::1"}) {
    EXPECT_TRUE(IsOutsideText(outside)) << outside;
  }
}

TEST(OutsideAddressTest, RefusesLoopbackTheLinkAndMetadataServices) {
  for (const char* inside : {"0.0.0.0",
                             "0.255.255.255",
                             "127.0.0.1",
                             "127.255.255.255",
                             "169.254.0.0",
                             "169.254.169.254",
                             "224.0.0.1",
                             "240.0.0.1",
                             "255.255.255.255",
                             "::",
                             "::1",
                             "::127.0.0.1",
                             "::ffff:127.0.0.1",
                             "::ffff:169.254.169.254",
                             "64:ff9b::127.0.0.1",
                             "fe80::1",
                             "febf::1",
                             "fec0::1",
                             "ff02::1",
                             "100.100.100.200",
                             "168.63.129.16",
                             "fd00:ec2::254",
                             "fd00:ec2::23",
                             "fd20:ce::254",
                             "fd00:42::42",
                             "fd00:c1::a9fe:a9fe",
                             "::ffff:168.63.129.16",
                             "64:ff9b::100.100.100.200",
                             "64:ff9b:1::10.0.0.1",
                             "64:ff9b:1::7f00:1",
                             "2002:7f00:1::1",
                             "2002:a9fe:a9fe::"}) {
    EXPECT_FALSE(IsOutsideText(inside)) << inside;
  }
  EXPECT_FALSE(IsOutside({.sa_family = AF_UNIX, .sa_data = {}}));
}

}  // namespace
}  // namespace assay
