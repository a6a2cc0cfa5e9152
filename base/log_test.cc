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
