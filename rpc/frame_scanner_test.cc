// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/frame_scanner.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace assay::rpc {
namespace {

// The preface, an empty SETTINGS, PING, and DATA of 300 bytes on stream 0x01020304.
std::string Bytes() {
  std::string bytes = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  bytes.append("\0\0\0\x4\0\0\0\0\0", 9);
  bytes.append("\0\0\x8\x6\x1\0\0\0\0", 9).append(8, 'p');
  bytes.append("\0\x1\x2c\0\x1\x81\x2\x3\x4", 9).append(300, 'd');
  return bytes;
}

struct Found {
  size_t before;  // Bytes acted on when the frame was found.
  FrameHeader header;
};

std::vector<Found> ScanAll(size_t chunk) {
  FrameScanner scanner;
  std::vector<Found> found;
  size_t acted = 0;
  const std::string bytes = Bytes();
  for (size_t at = 0; at < bytes.size(); at += chunk) {
    std::string_view rest = std::string_view(bytes).substr(at, chunk);
    while (!rest.empty()) {
      const size_t size = scanner.Scan(rest);
      acted += size;
      rest.remove_prefix(size);
      if (scanner.at_frame()) {
        found.push_back({acted, scanner.header()});
      }
    }
  }
  EXPECT_EQ(acted, bytes.size());
  return found;
}

TEST(FrameScannerTest, FindsEachHeaderHoweverTheBytesArrive) {
  for (size_t chunk = 1; chunk < 400; ++chunk) {
    const std::vector<Found> found = ScanAll(chunk);
    ASSERT_EQ(found.size(), 3u) << chunk;
    EXPECT_EQ(found[0].before, 24u + 8);
    EXPECT_EQ(found[0].header.type, 4);
    EXPECT_EQ(found[1].before, 33u + 8);
    EXPECT_EQ(found[1].header.flags, 1);
    EXPECT_EQ(found[2].before, 50u + 8);
    EXPECT_EQ(found[2].header.length, 300u);
    EXPECT_EQ(found[2].header.stream_id, 0x01020304);
  }
}

}  // namespace
}  // namespace assay::rpc
