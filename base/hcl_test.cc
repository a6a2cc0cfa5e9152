// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/hcl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// The tree as JSON-like text, to compare: strings in quotes, members in order.
std::string Show(const ConfigValue& value) {
  std::string out;
  switch (value.kind) {
    case ConfigValue::Kind::kNull:
    case ConfigValue::Kind::kBool:
    case ConfigValue::Kind::kNumber:
      return value.text;
    case ConfigValue::Kind::kString:
      return Quoted(value.text);
    case ConfigValue::Kind::kList:
      for (const ConfigValue& item : value.items) {
        out += (out.empty() ? "" : ",") + Show(item);
      }
      return "[" + out + "]";
    case ConfigValue::Kind::kObject:
      for (const ConfigMember& member : value.members) {
        out += (out.empty() ? "" : ",") + member.name + ":" + Show(member.value);
      }
      return "{" + out + "}";
  }
  return out;
}

std::string Parsed(std::string_view text) {
  const absl::StatusOr<ConfigValue> value = ParseConfig("f", text);
  return value.ok() ? Show(*value) : std::string(Message(value.status()));
}

TEST(HclTest, ReadsTheShapesOfAnAgentConfiguration) {
  EXPECT_EQ(Parsed(R"(
# the agent
agent {
  trust_domain = "d.test"  // after a value
  server_port = "8081"
  insecure_bootstrap = true
  authorized_delegates = ["spiffe://a", "spiffe://b",]
  /* several
     lines */ experimental { sync_interval = "1s" }
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data { workload_size_limit = -1 } }
})"),
            "{agent:{trust_domain:\"d.test\",server_port:\"8081\",insecure_bootstrap:true,"
            "authorized_delegates:[\"spiffe://a\",\"spiffe://b\"],"
            "experimental:{sync_interval:\"1s\"}},"
            "plugins:{NodeAttestor:{join_token:{plugin_data:{}}},"
            "WorkloadAttestor:{unix:{plugin_data:{workload_size_limit:-1}}}}}");
}

TEST(HclTest, ReadsSeveralMembersOnOneLineWithOrWithoutCommas) {
  EXPECT_EQ(Parsed("server { a = 1 b = 2, c = 3.5e2 } \"quoted\" = 0x1F"),
            "{server:{a:1,b:2,c:3.5e2},quoted:0x1F}");
}

TEST(HclTest, BlocksOfOneNameGatherInAList) {
  EXPECT_EQ(Parsed("p { W \"unix\" {} W \"docker\" { a = 1 } }"),
            "{p:{W:[{unix:{}},{docker:{a:1}}]}}");
  const auto tree = ParseConfig("f", "b { x = 1 } b { x = 2 }");
  ASSERT_OK(tree);
  EXPECT_EQ(tree->Find("b")->Blocks().size(), 2u);
}

TEST(HclTest, ReadsJsonIntoTheSameTree) {
  EXPECT_EQ(Parsed(R"( {"agent": {"trust_domain": "d", "x": null, "n": 3, "l": [true, []]},
             "plugins": {"NodeAttestor": [{"join_token": {"plugin_data": {}}}]}} )"),
            "{agent:{trust_domain:\"d\",x:null,n:3,l:[true,[]]},"
            "plugins:{NodeAttestor:[{join_token:{plugin_data:{}}}]}}");
}

TEST(HclTest, UnescapesStrings) {
  const auto text = [](std::string_view config) {
    const auto tree = ParseConfig("f", config);
    return tree.ok() ? tree->Find("s")->text : std::string(Message(tree.status()));
  };
  EXPECT_EQ(text(R"(s = "a\t\"\\\n\x41\101B\U0001F600")"), "a\t\"\\\nAAB\xF0\x9F\x98\x80");
  EXPECT_EQ(text(R"(s = "a ${b "c"} d")"), "a ${b \"c\"} d");
  EXPECT_EQ(text(R"({"s": "\/\u00e9\ud83d\ude00"})"), "/\xC3\xA9\xF0\x9F\x98\x80");
}

TEST(HclTest, ReadsHeredocs) {
  EXPECT_EQ(Parsed("a = <<EOF\n one\n  two\nEOF\nb = 1"), "{a:\" one\\x0a  two\\x0a\",b:1}");
  EXPECT_EQ(Parsed("a = <<-X\n    one\n      two\n  \n    X\n"), "{a:\"one\\x0a  two\\x0a\\x0a\"}");
}

TEST(HclTest, SaysWhereAndWhatWasExpected) {
  const struct {
    std::string_view text;
    std::string_view error;
  } kCases[] = {
      {"agent {\n  a = b\n}", "f:2:7: expected a value"},
      {"agent {\n  a = 1\n", "f:3:1: expected a name or '}', found the end of the text"},
      {"}", "f:1:1: expected a name, found \"}\""},
      {"a", "f:1:2: expected '=' or '{' after a name, found the end of the text"},
      {"a \"b\" = 1", "f:1:7: expected '{' after a label"},
      {"a = \"x\ny\"", "f:1:5: expected \" to end this string on the same line"},
      {"a = \"\\q\"", "f:1:7: expected one of the known escapes"},
      {"a = \"\\uD800\"", "f:1:8: expected the number of a Unicode character"},
      {"a = \"${x\"", "f:1:7: expected } to end this interpolation"},
      {"a = [1 2]", "f:1:8: expected ',' or ']'"},
      {"a = 1x", "f:1:5: expected a number"},
      {"a = -", "f:1:5: expected a number"},
      {"/* a", "f:1:1: expected */ to end this comment"},
      {"a = <<EOF\nx\n", "f:1:5: expected \"EOF\" to end this text"},
      {"a = 1\na = 2", "f:2:1: expected \"a\" once, it is set in line 1 too"},
      {"a = 1\na { }", "f:2:1: expected \"a\" once, it is set in line 1 too"},
      {"a ; b", "f:1:3: expected a name or a value, found \";\""},
      {"{\"a\": 1,}", "f:1:9: expected a member after ','"},
      {"{\"a\" 1}", "f:1:6: expected ':' after a name"},
      {"{\"a\": [1,]}", "f:1:10: expected an item after ','"},
      {"{} {}", "f:1:4: expected the end of the text"},
      {"{\"a\": 1 # no\n}", "f:1:9: expected a name or a value"},
  };
  for (const auto& [text, error] : kCases) {
    EXPECT_THAT(Parsed(text), StartsWith(std::string(error))) << text;
  }
}

TEST(HclTest, BoundsDepthSizeAndMembers) {
  std::string deep, labels, wide;
  for (int i = 0; i < 100'000; ++i) {
    deep += "a {";
    labels += "\"l\" ";
    wide += "n" + std::to_string(i) + "=1\n";
  }
  EXPECT_THAT(Parsed(deep), HasSubstr("at most 32 nested values"));
  EXPECT_THAT(Parsed("a = " + std::string(100'000, '[')), HasSubstr("at most 32 nested values"));
  EXPECT_THAT(Parsed("{\"a\":" + std::string(100'000, '[')), HasSubstr("nested values"));
  EXPECT_THAT(Parsed(labels), HasSubstr("at most 32 nested values"));
  EXPECT_THAT(Parsed(wide), HasSubstr("at most 4096 names"));
  EXPECT_THAT(Parsed(std::string(kMaxConfigBytes + 1, ' ')), HasSubstr("at most 1048576 bytes"));
}

}  // namespace
}  // namespace assay
