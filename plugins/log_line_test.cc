// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/log_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

PluginLogLine ReadOne(std::string_view line) { return PluginLogReader().Read(line, false); }

TEST(PluginLogTest, TakesLevelMessageAndFields) {
  const PluginLogLine line =
      ReadOne(R"({"@level":"warn","@message":"disk is full","@module":"m","@timestamp":"t",)"
              R"("free":3,"path":"/a b"})");
  EXPECT_EQ(line.level, log::Level::kWarn);
  EXPECT_EQ(line.message, "disk is full");
  EXPECT_THAT(line.fields, ElementsAre(Pair("free", "3"), Pair("path", "/a b")));
}

TEST(PluginLogTest, AFieldsNameCannotForgeALine) {
  const PluginLogLine line = ReadOne("{\"@message\":\"m\",\"a\\nlevel=error msg\":1}");
  EXPECT_THAT(line.fields, ElementsAre(Pair("a_level_error_msg", "1")));
}

TEST(PluginLogTest, WhatIsNoJsonOfALoggerIsText) {
  for (const char* text :
       {"hello", "", "{", "{}", "[1]", R"({"@message":1})", R"({"level":"x"})"}) {
    const PluginLogLine line = ReadOne(text);
    EXPECT_EQ(line.message, text);
    EXPECT_EQ(line.level, log::Level::kDebug);
    EXPECT_THAT(line.fields, IsEmpty());
  }
  EXPECT_EQ(ReadOne("[ERROR] bad").level, log::Level::kError);
}

TEST(PluginLogTest, APartOfALongLineIsText) {
  EXPECT_EQ(PluginLogReader().Read(R"({"@message":"m"})", true).message, R"({"@message":"m"})");
}

TEST(PluginLogTest, APanicIsAnErrorToItsLastLine) {
  PluginLogReader reader;
  EXPECT_EQ(reader.Read("before", false).level, log::Level::kDebug);
  EXPECT_EQ(reader.Read("panic: oops", false).level, log::Level::kError);
  EXPECT_EQ(reader.Read("goroutine 1 [running]:", false).level, log::Level::kError);
}

TEST(PluginLogTest, DepthAndCountAreBounded) {
  const std::string deep = std::string(kMaxLogLineBytes / 2, '[');
  EXPECT_EQ(ReadOne(R"({"@message":"m","x":)" + deep).level, log::Level::kDebug);
  const std::string closed = std::string(30000, '[') + std::string(30000, ']');
  EXPECT_EQ(ReadOne(R"({"@message":"m","x":)" + closed + "}").message, "m");
  std::string many = R"({"@message":"m")";
  for (int i = 0; i < 1000; ++i) {
    many += fmt::format(",\"f{}\":{}", i, i);
  }
  EXPECT_EQ(ReadOne(many + "}").fields.size(), 32U);
}

}  // namespace
}  // namespace assay
