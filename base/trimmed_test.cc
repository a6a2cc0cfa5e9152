// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/trimmed.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(TrimmedTest, TakesOffBlanksAtBothEndsAlone) {
  EXPECT_EQ(Trimmed(" \t\r\na b\n"), "a b");
  EXPECT_EQ(Trimmed("a"), "a");
  EXPECT_EQ(Trimmed(" \n"), "");
  EXPECT_EQ(Trimmed(""), "");
}

}  // namespace
}  // namespace assay
