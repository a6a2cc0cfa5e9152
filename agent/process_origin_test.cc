// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/process_origin.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/unique_fd.h"

namespace assay {
namespace {

TEST(ProcessOriginTest, FindsTheStartBehindANameOfAnyBytes) {
  const std::string rest =
      " S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 7777 1000 200 18446744073709551615\n";
  EXPECT_EQ(ParseStartTicks("42 (cat)" + rest), 7777U);
  EXPECT_EQ(ParseStartTicks("42 (a) S 1 2 3 4 5) (b c)" + rest), 7777U);
  for (const char* bad : {"", "42", "42 (cat)", "42 (cat) S 1 2 3",
                          "42 (cat) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 77x7 1"}) {
    EXPECT_EQ(ParseStartTicks(bad), std::nullopt) << bad;
  }
}

TEST(ProcessOriginTest, TakesTheUnifiedCgroupBeforeSystemds) {
  EXPECT_EQ(ParseCgroup("0::/system.slice/nginx.service\n"), "/system.slice/nginx.service");
  EXPECT_EQ(ParseCgroup("2:cpu,cpuacct:/c\n1:name=systemd:/s:with:colons\n0::/\n"),
            "/s:with:colons");
  EXPECT_EQ(ParseCgroup("2:cpu:/c\n1:name=systemd:/s\n0::/u\n"), "/u");
  EXPECT_EQ(ParseCgroup("0::/\n"), "/");
  EXPECT_EQ(ParseCgroup(""), "");
  EXPECT_EQ(ParseCgroup("0::/" + std::string(5000, 'x')).size(), ProcessOrigin::kMaxCgroupBytes);
}

TEST(ProcessOriginTest, ReadsAProcessThatRuns) {
  const UniqueFd self(open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const ProcessOrigin origin = ReadOrigin(self.get());
  const auto ticks = static_cast<double>(origin.start_ticks);
  const absl::Duration age =
      SystemClock().SinceBoot() - absl::Seconds(ticks / static_cast<double>(sysconf(_SC_CLK_TCK)));
  EXPECT_GE(age, absl::Seconds(-1));
  EXPECT_LT(age, absl::Hours(1));
}

}  // namespace
}  // namespace assay
