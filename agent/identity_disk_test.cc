// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/files.h"
#include "crypto/pem.h"
#include "tests/support/fake_ca.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

class AgentDiskTest : public testing::Test {
 protected:
  AgentDisk Disk() const { return {folder_.path(), MakeDiskKeys(folder_.path())}; }
  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  void Write(const std::string& name, std::string_view bytes) const {
    ASSERT_OK(WriteFileAtomically(Path(name), bytes, 0600));
  }
  // The state of a node whose key is in keys.json, saved.
  AgentState Save() const {
    FakeIdentity leaf = ca_.Leaf("spiffe://example.org/spire/agent/x");
    Write("keys.json", fmt::format(R"({{"keys": {{"agent-svid-A": "{}"}}}})",
                                   crypto::Base64Encode(leaf.key->pkcs8().Reveal())));
    AgentState state;
    state.svid = {.chain = leaf.chain, .key = leaf.key, .reattestable = true};
    state.bundle = {ca_.certificate()};
    AgentDisk disk = Disk();
    EXPECT_OK(disk.keys().Load(leaf.key->public_key()));
    EXPECT_OK(disk.Save(state));
    return state;
  }

  const TempFolder folder_;
  const FakeCa ca_ = FakeCa::Root();
};

TEST_F(AgentDiskTest, WhatIsSavedIsLoadedAgain) {
  const AgentState state = Save();
  for (const char* name : {"agent-data.json", "keys.json"}) {
    struct stat info {};
    ASSERT_EQ(stat(Path(name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600U) << name;
  }
  const auto loaded = Disk().Load();
  ASSERT_OK(loaded);
  ASSERT_TRUE(loaded->svid.has_value());
  EXPECT_EQ(loaded->svid->chain.front().der(), state.svid->chain.front().der());
  EXPECT_TRUE(loaded->svid->reattestable);
  EXPECT_EQ(loaded->bundle.size(), 1U);
}

TEST_F(AgentDiskTest, ADamagedDataFileIsSetAsideAndCountsAsAbsent) {
  for (const std::string& damaged :
       {std::string(), std::string("{\"svid\":"), std::string("[]"), std::string("\0\xff", 2),
        std::string(R"({"bundle": 5})"), std::string(R"({"bundle": [5]})"),
        std::string(R"({"svid": ["AAAA"]})"), std::string(R"({"bundle": ["LS0t"]})"),
        std::string(kMaxFileBytes + 1, ' ')}) {
    Save();
    Write("agent-data.json", damaged);
    const auto loaded = Disk().Load();
    ASSERT_OK(loaded) << damaged.substr(0, 40);
    EXPECT_FALSE(loaded->svid.has_value());
    EXPECT_TRUE(loaded->bundle.empty());
    EXPECT_FALSE(std::filesystem::exists(Path("agent-data.json")));
    EXPECT_EQ(std::filesystem::file_size(Path("agent-data.json.damaged")), damaged.size());
  }
}

TEST_F(AgentDiskTest, TheBundleOfADamagedDataFileIsKept) {
  Save();
  const std::string keys = *ReadFile(Path("keys.json"));
  Write("agent-data.json", fmt::format(R"({{"svid": ["AAAA"], "bundle": ["{}"]}})",
                                       crypto::Base64Encode(ca_.certificate().der())));
  for (int start = 0; start < 2; ++start) {
    const auto loaded = Disk().Load();
    ASSERT_OK(loaded);
    EXPECT_FALSE(loaded->svid.has_value());
    EXPECT_EQ(loaded->bundle.size(), 1U) << start;
  }
  EXPECT_TRUE(std::filesystem::exists(Path("agent-data.json.damaged")));
  EXPECT_EQ(*ReadFile(Path("keys.json")), keys);
}

TEST_F(AgentDiskTest, ALostBundleIsAnErrorWhereAnyUpstreamWouldBeTrusted) {
  const auto load = [this] {
    return AgentDisk(folder_.path(), MakeDiskKeys(folder_.path()),
                     AgentDisk::Unreadable::kIsSetAside, AgentDisk::LostBundle::kIsAnError)
        .Load();
  };
  Save();
  Write("agent-data.json", R"({"svid": [)");
  for (int start = 0; start < 2; ++start) {
    EXPECT_THAT(load(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                 testing::HasSubstr("with insecure_bootstrap whoever answers")));
  }
  std::filesystem::remove(Path("agent-data.json"));
  EXPECT_OK(load());
}

TEST_F(AgentDiskTest, ADamagedKeyFileIsSetAsideAndTheBundleKept) {
  Save();
  Write("keys.json", "{\"keys\": {");
  const auto loaded = Disk().Load();
  ASSERT_OK(loaded);
  EXPECT_FALSE(loaded->svid.has_value());
  EXPECT_EQ(loaded->bundle.size(), 1U);
  EXPECT_TRUE(std::filesystem::exists(Path("keys.json.damaged")));
  Save();
  EXPECT_TRUE(Disk().Load()->svid.has_value());
}

TEST_F(AgentDiskTest, AnSvidWithoutItsKeyIsLeftOut) {
  Save();
  for (const char* keys : {"{}", R"({"keys": null})", R"({"keys": {"agent-svid-A": "AAAA"}})"}) {
    Write("keys.json", keys);
    const auto loaded = Disk().Load();
    ASSERT_OK(loaded);
    EXPECT_FALSE(loaded->svid.has_value()) << keys;
  }
}

}  // namespace
}  // namespace assay
