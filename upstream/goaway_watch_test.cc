// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/goaway_watch.h"

#include <gtest/gtest.h>

#include <string>

namespace assay {
namespace {

std::string FrameOf(char type, const std::string& payload) {
  const size_t size = payload.size();
  return std::string{static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                     static_cast<char>(size), type} +
         std::string(5, '\0') + payload;
}

TEST(GoawayWatchTest, SeesTheFrameHoweverTheBytesAreCut) {
  // A payload that looks like the frame is none.
  const std::string before =
      FrameOf(4, "") + FrameOf(0, FrameOf(7, "12345678")) + FrameOf(1, std::string(70'000, 7));
  const std::string goaway = FrameOf(7, "12345678");
  for (size_t piece : {size_t{1}, size_t{2}, size_t{7}, size_t{9}, size_t{10}, size_t{100'000}}) {
    GoawayWatch watch;
    const auto feed = [&](const std::string& bytes) {
      for (size_t at = 0; at < bytes.size(); at += piece) {
        watch.Feed(std::string_view(bytes).substr(at, piece));
      }
    };
    feed(before);
    EXPECT_FALSE(watch.seen()) << piece;
    feed(goaway);
    EXPECT_TRUE(watch.seen()) << piece;
    feed(before);
    EXPECT_TRUE(watch.seen()) << piece;
  }
}

}  // namespace
}  // namespace assay
