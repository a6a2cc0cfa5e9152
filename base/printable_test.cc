// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/printable.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(PrintableTest, ShowsWhatIsNoPrintableAscii) {
  EXPECT_EQ(Printable("say \"no\"\n\xff\x7f"), "say \"no\"\\x0a\\xff\\x7f");
  EXPECT_EQ(Printable(std::string(1024, 'a')), std::string(1024, 'a'));
  EXPECT_EQ(Printable(std::string(2000, 'a')).size(), 1024u + 3);
}

}  // namespace
}  // namespace assay
