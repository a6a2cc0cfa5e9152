// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/line_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace assay {
namespace {

using testing::ElementsAre;

class Lines {
 public:
  std::vector<std::string> lines;
  LineReader reader{4, [this](std::string_view line, bool cut) {
                      lines.push_back(std::string(line) + (cut ? "+" : ""));
                    }};
};

TEST(LineReaderTest, CutsAStreamIntoLinesWhereverItsPiecesEnd) {
  Lines all;
  for (char c : std::string("a\n\nbcd\ne")) {
    all.reader.Take({&c, 1});
  }
  all.reader.Finish();
  EXPECT_THAT(all.lines, ElementsAre("a", "", "bcd", "e"));
}

TEST(LineReaderTest, ALongLineComesInPieces) {
  Lines all;
  all.reader.Take("0123456789\nabcd\nx");
  all.reader.Finish();
  EXPECT_THAT(all.lines, ElementsAre("0123+", "4567+", "89+", "abcd", "x"));
}

}  // namespace
}  // namespace assay
