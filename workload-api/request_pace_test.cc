// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/request_pace.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

int Asked(RequestPace& pace, absl::Duration now) {
  int asked = 0;
  while (pace.MayAsk(now)) {
    ++asked;
  }
  return asked;
}

TEST(RequestPaceTest, AllowsSoManyAtOnceAndThenSoManyASecond) {
  RequestPace pace;
  EXPECT_EQ(Asked(pace, absl::Hours(5)), 256);
  EXPECT_EQ(Asked(pace, absl::Hours(5) + absl::Milliseconds(250)), 1);
  EXPECT_EQ(Asked(pace, absl::Hours(5) + absl::Seconds(10)), 39);
  EXPECT_EQ(Asked(pace, absl::Hours(9)), 256) << "it does not save up";
}

}  // namespace
}  // namespace assay
