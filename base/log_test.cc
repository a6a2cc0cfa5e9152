// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using testing::HasSubstr;

std::string Logged(log::Format format, const std::function<void()>& write) {
  const TempFolder folder;
  const std::string file = folder.path() + "/log";
  EXPECT_TRUE(log::Open({.level = log::Level::kInfo, .format = format, .file = file}).ok());
  write();
  return *ReadFile(file);
}

TEST(LogTest, TextIsAPhraseAndItsFieldsSortedByName) {
  const std::string line = Logged(log::Format::kText, [] {
    log::Info("SVID stored", {{"spiffe_id", "spiffe://a.test/w"}, {"entry", "id-1"}, {"n", 2}});
  });
  EXPECT_THAT(line, HasSubstr("level=info msg=\"SVID stored\" entry=id-1 n=2 "
                              "spiffe_id=\"spiffe://a.test/w\"\n"));
}

TEST(LogTest, AValueCannotBreakOutOfItsLine) {
  const std::string line = Logged(log::Format::kText, [] {
    log::Warn("odd", {{"name", "a\"\nlevel=error msg=forged"}});
  });
  EXPECT_THAT(line, HasSubstr(R"(name="a\"\nlevel=error msg=forged")"));
}

TEST(LogTest, TextIsQuotedAsGoQuotesIt) {
  const struct {
    std::string value;
    std::string text;
  } kCases[] = {
      {"", ""},
      {"a-Z0._/@^+", "a-Z0._/@^+"},
      {"a b", R"("a b")"},
      {"a=b", R"("a=b")"},
      {"\a\b\f\n\r\t\v", R"("\a\b\f\n\r\t\v")"},
      {std::string("\0\x1b[1m\x7f", 6), R"("\x00\x1b[1m\x7f")"},
      {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91\""},
      {"\xff\xc3", R"("\xff\xc3")"},
      {"\xe2\x80\xae\xc2\x9b", R"("\u202e\u009b")"}};
  for (const auto& [value, text] : kCases) {
    const std::string line = Logged(log::Format::kText, [&value = value] {
      log::Info("m", {{"v", value}});
    });
    EXPECT_THAT(line, testing::EndsWith(" msg=m v=" + text + "\n"));
  }
}

TEST(LogTest, TimesHaveFractionsWhereTheFormatIsAskedForByName) {
  const auto line = [](log::Format format) { return Logged(format, [] { log::Info("m"); }); };
  EXPECT_THAT(line(log::Format::kText),
              testing::ContainsRegex("^time=\"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z\" level=info"));
  EXPECT_THAT(line(log::Format::kPreciseText),
              testing::ContainsRegex("^time=\"[0-9-]{10}T[0-9:]{8}\\.[0-9]+Z\" level=info"));
  EXPECT_THAT(line(log::Format::kJson), testing::ContainsRegex("T[0-9:]{8}\\.[0-9]+Z\"}"));
}

TEST(LogTest, SaysWhereInTheSourceItWasWrittenWhenAsked) {
  const TempFolder folder;
  const std::string file = folder.path() + "/log";
  ASSERT_TRUE(log::Open({.file = file, .source_location = true}).ok());
  log::Info("m", {{"error", "e"}, {"gate", "g"}});
  const int line = __LINE__ - 1;
  EXPECT_THAT(
      *ReadFile(file),
      HasSubstr(fmt::format("msg=m error=e file=\"log_test.cc:{}\" func=TestBody gate=g", line)));
}

TEST(LogTest, LeavesOutFieldsWithoutAName) {
  EXPECT_THAT(Logged(log::Format::kText,
                     [] {
                       log::Info("m", {{"", "x"}, {"a", 1}});
                     }),
              testing::EndsWith(" msg=m a=1\n"));
}

TEST(LogTest, TakesTheReferencesNamesOfLevels) {
  for (const auto& [name, level] :
       {std::pair("TRACE", log::Level::kDebug), std::pair("Warning", log::Level::kWarn),
        std::pair("fatal", log::Level::kError), std::pair("panic", log::Level::kError)}) {
    EXPECT_EQ(*log::ParseLevel(name), level);
  }
  EXPECT_FALSE(log::ParseLevel("loud").ok());
}

TEST(LogTest, JsonHoldsTheSameMembers) {
  const std::string line = Logged(log::Format::kJson, [] {
    log::Error("broken", {{"why", "x\"y"}, {"n", 2}});
  });
  EXPECT_THAT(line, HasSubstr(R"("level":"error","msg":"broken","n":2)"));
  EXPECT_THAT(line, HasSubstr(R"("why":"x\"y")"));
}

TEST(LogTest, LinesBelowTheLevelAreNotWritten) {
  EXPECT_EQ(Logged(log::Format::kText, [] { log::Debug("detail"); }), "");
}

}  // namespace
}  // namespace assay
