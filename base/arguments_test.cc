// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Values {
  std::string socket = "/tmp/api.sock";
  std::vector<std::string> selectors;
  bool node = false;
  int64_t ttl = 600;
  absl::Duration age = absl::Hours(720);
};

Arguments FlagsInto(Values& values) {
  Arguments flags("entry create");
  flags.Add("socketPath", values.socket, "Path to the socket");
  flags.Add("selector", values.selectors, "A selector");
  flags.Add("node", values.node, "For nodes");
  flags.Add("ttl", values.ttl, "Seconds");
  flags.Add("expiredFor", values.age, "Age");
  return flags;
}

std::string ErrorOf(const std::vector<std::string>& arguments) {
  Values values;
  return std::string(Message(FlagsInto(values).Parse(arguments)));
}

TEST(ArgumentsTest, ReadsOneDashTwoDashesAndEqualsSigns) {
  Values values;
  Arguments flags = FlagsInto(values);
  ASSERT_THAT(flags.Parse({"-socketPath", "/a", "--ttl=5", "-node", "--selector", "unix:uid:0",
                           "-selector=a:b=c", "-expiredFor", "1h30m"}),
              IsOk());
  EXPECT_EQ(values.socket, "/a");
  EXPECT_EQ(values.ttl, 5);
  EXPECT_TRUE(values.node);
  EXPECT_THAT(values.selectors, ElementsAre("unix:uid:0", "a:b=c"));
  EXPECT_EQ(values.age, absl::Minutes(90));
  EXPECT_TRUE(flags.WasSet("ttl"));
}

TEST(ArgumentsTest, KeepsTheDefaultOfAFlagThatIsNotGiven) {
  Values values;
  Arguments flags = FlagsInto(values);
  ASSERT_THAT(flags.Parse({}), IsOk());
  EXPECT_EQ(values.ttl, 600);
  EXPECT_FALSE(flags.WasSet("ttl"));
}

TEST(ArgumentsTest, ABooleanTakesAValueOnlyBehindAnEqualsSign) {
  Values values;
  values.node = true;
  ASSERT_THAT(FlagsInto(values).Parse({"-node=false"}), IsOk());
  EXPECT_FALSE(values.node);
  EXPECT_EQ(ErrorOf({"-node", "false"}), "unexpected argument \"false\"");
  EXPECT_EQ(ErrorOf({"-node=x"}), "invalid boolean value \"x\" for -node: parse error");
}

TEST(ArgumentsTest, SaysWhatIsWrongInTheWordsOfGo) {
  EXPECT_EQ(ErrorOf({"-bogus"}), "flag provided but not defined: -bogus");
  EXPECT_EQ(ErrorOf({"-ttl"}), "flag needs an argument: -ttl");
  EXPECT_EQ(ErrorOf({"-ttl", "x"}), "invalid value \"x\" for flag -ttl: parse error");
  EXPECT_EQ(ErrorOf({"-ttl", "99999999999999999999"}),
            "invalid value \"99999999999999999999\" for flag -ttl: value out of range");
  EXPECT_EQ(ErrorOf({"-expiredFor", "inf"}),
            "invalid value \"inf\" for flag -expiredFor: parse error");
  EXPECT_EQ(ErrorOf({"---ttl"}), "bad flag syntax: ---ttl");
  EXPECT_EQ(ErrorOf({"-=5"}), "bad flag syntax: -=5");
}

TEST(ArgumentsTest, RefusesAnArgumentThatWouldHideFlagsBehindIt) {
  EXPECT_EQ(ErrorOf({"now", "-node"}), "unexpected argument \"now\"");
  EXPECT_EQ(ErrorOf({"--", "-node"}), "unexpected argument \"-node\"");
  EXPECT_EQ(ErrorOf({"--"}), "");
}

TEST(ArgumentsTest, TellsARequestForHelpFromAMistake) {
  Values values;
  EXPECT_THAT(FlagsInto(values).Parse({"-h"}),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("help")));
  EXPECT_THAT(FlagsInto(values).Parse({"--help"}),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("help")));
}

TEST(ArgumentsTest, UsageListsFlagsByNameWithKindAndDefault) {
  Values values;
  EXPECT_EQ(FlagsInto(values).Usage(),
            "Usage of entry create:\n"
            "  -expiredFor duration\n    \tAge (default 720h0m0s)\n"
            "  -node\n    \tFor nodes\n"
            "  -selector value\n    \tA selector\n"
            "  -socketPath string\n    \tPath to the socket (default \"/tmp/api.sock\")\n"
            "  -ttl int\n    \tSeconds (default 600)\n");
}

}  // namespace
}  // namespace assay
