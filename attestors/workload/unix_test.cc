// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/workload/unix.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/files.h"
#include "base/unique_fd.h"
#include "crypto/digest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> Texts(const std::vector<Selector>& selectors) {
  std::vector<std::string> texts;
  for (const Selector& selector : selectors) {
    texts.push_back(selector.ToString());
  }
  return texts;
}

// A folder with a link "exe", as a process's has.
struct FakeProcess {
  explicit FakeProcess(const std::string& content = "binary") {
    executable = folder.path() + "/program";
    EXPECT_OK(WriteFileAtomically(executable, content, 0755));
    std::filesystem::create_symlink(executable, folder.path() + "/exe");
    fd.Reset(open(folder.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  Subject At(uid_t uid, gid_t gid, std::vector<gid_t> groups = {}) const {
    return {.pid = 1, .folder = fd.get(), .uid = uid, .gid = gid, .supplementary_gids = groups};
  }
  TempFolder folder;
  std::string executable;
  UniqueFd fd;
};

// No machine has such numbers.
constexpr id_t kNameless = 3999999999;

TEST(UnixAttestorTest, NamesWhatHasAName) {
  FakeClock clock;
  FakeProcess process;
  UnixAttestor attestor(clock, {});
  const auto selectors = attestor.Attest(process.At(0, 0, {kNameless, 0}));
  ASSERT_OK(selectors);
  EXPECT_THAT(Texts(*selectors),
              ElementsAre("unix:uid:0", "unix:user:root", "unix:gid:0", "unix:group:root",
                          "unix:supplementary_gid:3999999999", "unix:supplementary_gid:0",
                          "unix:supplementary_group:root"));
}

TEST(UnixAttestorTest, DiscoversPathAndDigest) {
  FakeClock clock;
  FakeProcess process("some bytes");
  UnixAttestor attestor(clock, {.discover_workload_path = true});
  const auto selectors = attestor.Attest(process.At(kNameless, kNameless));
  ASSERT_OK(selectors);
  EXPECT_THAT(
      Texts(*selectors),
      ElementsAre(
          "unix:uid:3999999999", "unix:gid:3999999999", "unix:path:" + process.executable,
          "unix:sha256:" + crypto::HexEncode(crypto::Digest(crypto::Hash::kSha256, "some bytes"))));
}

TEST(UnixAttestorTest, HashesUpToTheLimit) {
  FakeClock clock;
  FakeProcess process("1234");
  UnixAttestor enough(clock, {.discover_workload_path = true, .workload_size_limit = 4});
  EXPECT_OK(enough.Attest(process.At(0, 0)));
  UnixAttestor small(clock, {.discover_workload_path = true, .workload_size_limit = 2});
  EXPECT_THAT(small.Attest(process.At(0, 0)), StatusIs(absl::StatusCode::kResourceExhausted,
                                                       HasSubstr("workload " + process.executable +
                                                                 " exceeds size limit (4 > 2)")));
}

TEST(UnixAttestorTest, NeverHashesWithANegativeLimit) {
  FakeClock clock;
  FakeProcess process;
  UnixAttestor attestor(clock, {.discover_workload_path = true, .workload_size_limit = -1});
  const auto selectors = attestor.Attest(process.At(0, 0));
  ASSERT_OK(selectors);
  EXPECT_THAT(Texts(*selectors), Contains(StartsWith("unix:path:")));
  EXPECT_THAT(Texts(*selectors), Not(Contains(StartsWith("unix:sha256:"))));
}

TEST(UnixAttestorTest, BlocksForAFileItHasNotReadAlone) {
  FakeClock clock;
  FakeProcess process("one");
  UnixAttestor attestor(clock, {.discover_workload_path = true});
  EXPECT_TRUE(attestor.MayBlock(process.At(0, 0)));
  ASSERT_OK(attestor.Attest(process.At(0, 0)));
  EXPECT_FALSE(attestor.MayBlock(process.At(0, 0)));
  EXPECT_TRUE(attestor.MayBlock(process.At(0, 0, {kNameless})));
  ASSERT_OK(WriteFileAtomically(process.executable, "two", 0755));
  EXPECT_TRUE(attestor.MayBlock(process.At(0, 0)));
  EXPECT_THAT(
      Texts(attestor.Attest(process.At(0, 0)).value()),
      Contains("unix:sha256:" + crypto::HexEncode(crypto::Digest(crypto::Hash::kSha256, "two"))));
}

TEST(UnixAttestorTest, FailsWithoutAnExecutable) {
  FakeClock clock;
  FakeProcess process;
  std::filesystem::remove(process.folder.path() + "/exe");
  UnixAttestor attestor(clock, {.discover_workload_path = true});
  EXPECT_THAT(attestor.Attest(process.At(0, 0)),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("path lookup")));
}

int g_lookups = 0;
std::optional<std::string> CountingLookup(id_t id) {
  ++g_lookups;
  return id == 7 ? std::make_optional<std::string>("seven") : std::nullopt;
}

TEST(NameCacheTest, AsksOnceForAMinuteAlsoForTheNameless) {
  FakeClock clock;
  TempFolder folder;
  NameCache names(clock, folder.path() + "/passwd", CountingLookup);
  g_lookups = 0;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(names.Get(7), "seven");
    EXPECT_EQ(names.Get(8), std::nullopt);
  }
  EXPECT_EQ(g_lookups, 2);
  clock.Advance(NameCache::kMaxAge);
  EXPECT_FALSE(names.Knows(7));
  names.Get(7);
  EXPECT_EQ(g_lookups, 3);
}

TEST(NameCacheTest, ForgetsWhenTheFileChanges) {
  FakeClock clock;
  TempFolder folder;
  const std::string file = folder.path() + "/passwd";
  NameCache names(clock, file, CountingLookup);
  names.Get(7);
  EXPECT_TRUE(names.Knows(7));
  ASSERT_OK(WriteFileAtomically(file, "seven:x:7", 0644));
  clock.Advance(NameCache::kRecheck);
  EXPECT_FALSE(names.Knows(7));
}

}  // namespace
}  // namespace assay
