// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/hcl_printer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

std::string Printed(std::string_view text) {
  const absl::StatusOr<ConfigValue> parsed = ParseConfig("f", text);
  EXPECT_OK(parsed.status()) << text;
  return parsed.ok() ? PrintHcl(*parsed) : "";
}

TEST(HclPrinterTest, WritesAttributesAndBlocks) {
  EXPECT_EQ(Printed("a = \"x\" n = -3 # why\n f = 1.5e3\n t = true l = [1, \"b\"] b { c {} }"),
            "a = \"x\"\nn = -3\nf = 1.5e3\nt = true\nl = [1, \"b\"]\nb {\n  c {\n  }\n}\n");
  EXPECT_EQ(Printed(""), "");
}

TEST(HclPrinterTest, JsonBecomesHcl) {
  EXPECT_EQ(Printed(R"({"a": {"b c": ["d", {"e": null}]}, "x": null})"),
            "a {\n  \"b c\" = [\"d\", {\n  }]\n}\n");
}

TEST(HclPrinterTest, WhatIsPrintedIsReadAsTheSame) {
  for (const char* text : {
           "a = \"q\\\" b\\\\ n\\n t\\t \\u20ac \\x01\"",
           "a = \"${file(\"x\\y\")} and \\\"${b}\\\"\"",
           "a = <<END\none\n \"two\" $${x\nEND\n",
           "Type \"name\" { k = \"v\" }\nType \"other\" { }",
           "block { a = 1 }\nblock { a = 2 }",
           "l = [{ a = 1 }, 2, [3, [true]]]",
       }) {
    const std::string once = Printed(text);
    EXPECT_EQ(Printed(once), once) << text;
  }
}

TEST(HclPrinterTest, AnOpenInterpolationIsText) {
  const std::string once = Printed(R"({"a": "x ${y"})");
  EXPECT_EQ(once, "a = \"x \\x24{y\"\n");
  EXPECT_EQ(ParseConfig("f", once)->Find("a")->text, "x ${y");
}

}  // namespace
}  // namespace assay
