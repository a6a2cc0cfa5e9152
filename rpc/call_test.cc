// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/call.h"

#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

namespace assay::rpc {
namespace {

using testing::ElementsAre;

TEST(FrameTest, PutsThePrefixBeforeTheMessage) {
  EXPECT_EQ(Frame(std::string_view("abc")).bytes(), std::string("\0\0\0\0\3abc", 8));
  EXPECT_EQ(Frame(std::string_view("")).bytes(), std::string(5, '\0'));
  google::protobuf::StringValue message;
  message.set_value(std::string(300, 'x'));
  EXPECT_EQ(Frame(message).bytes(), Frame(message.SerializeAsString()).bytes());
  EXPECT_EQ(Frame(message).bytes().substr(0, 5), std::string("\0\0\0\1\x2f", 5));
}

TEST(RegistryTest, FindsMethodsByTheirFullName) {
  Registry registry;
  for (const char* name : {"/b.Two/Y", "/a.One/X", "/Bare/Z", "/b.Two/A"}) {
    registry.Add(name, [](Call&) { return nullptr; });
  }
  EXPECT_NE(registry.Find("/a.One/X"), nullptr);
  EXPECT_NE(registry.Find("/b.Two/A"), nullptr);
  for (const char* name : {"/a.One/Y", "/a.One", "a.One/X", "", "/a.One/X2", "/A.One/X"}) {
    EXPECT_EQ(registry.Find(name), nullptr) << name;
  }
  EXPECT_THAT(registry.Services(), ElementsAre("Bare", "a.One", "b.Two"));
  EXPECT_TRUE(registry.HasService("b.Two"));
  EXPECT_FALSE(registry.HasService("b.Tw"));
  EXPECT_FALSE(registry.HasService(""));
}

TEST(RegistryTest, ReplacesAMethodAddedTwice) {
  Registry registry;
  registry.Add("/a.One/X", [](Call&) { return nullptr; });
  registry.Add("/a.One/X", nullptr);
  EXPECT_EQ(*registry.Find("/a.One/X"), nullptr);
}

}  // namespace
}  // namespace assay::rpc
