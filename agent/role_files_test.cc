// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/role_files.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/files.h"
#include "base/unique_fd.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using testing::HasSubstr;

const User kUser{.name = "someone", .uid = 4242, .gid = 4343, .groups = {4444}};

// "uid:gid mode"
std::string Access(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return fmt::format("{}:{} {:o}", info.st_uid, info.st_gid, info.st_mode & 07777);
}

class RoleFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) {
      GTEST_SKIP() << "needs root to give files away";
    }
    std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
    ASSERT_OK(MakeFolders(Path("data"), 0700));
  }
  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  std::string Write(const std::string& name, mode_t mode = 0600) const {
    EXPECT_OK(WriteFileAtomically(Path(name), "bytes", mode));
    return Path(name);
  }

  static absl::Status Give(const StateFolder& folder) { return GiveFolder(folder, kUser); }

  const TempFolder folder_;
};

TEST_F(RoleFilesTest, GivesAFolderOfRootWithTheAgentsFilesButNoLinks) {
  Write("data/keys.json");
  Write("data/agent-data.json.damaged");
  Write("data/token");
  Write("elsewhere");
  std::filesystem::create_hard_link(Path("elsewhere"), Path("data/tpm-devid-ak"));
  std::filesystem::create_symlink(Path("elsewhere"), Path("data/agent-data.json"));
  ASSERT_OK(Give({.path = Path("data"), .has_keys = true, .beside = {Path("data/token")}}));
  EXPECT_EQ(Access(Path("data")), "4242:4343 700");
  EXPECT_EQ(Access(Path("data/keys.json")), "4242:4343 600");
  EXPECT_EQ(Access(Path("data/agent-data.json.damaged")), "4242:4343 600");
  EXPECT_EQ(Access(Path("data/token")), "0:0 600");
  EXPECT_EQ(Access(Path("elsewhere")), "0:0 600");
}

// They may be a server's.
TEST_F(RoleFilesTest, KeepsAFolderWithKeysThatAreNotTheAgents) {
  Write("data/agent-data.json");
  for (const char* keys : {"data/keys.json", "data/keys.json.tmp"}) {
    Write(keys);
    EXPECT_THAT(Give({.path = Path("data")}),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("\"keys.json")));
    std::filesystem::create_directory(Path("data/conf"));
    EXPECT_FALSE(Give({.path = Path("data")}).ok());
    EXPECT_EQ(Access(Path("data")), "0:0 700");
    std::filesystem::remove(Path(keys));
    std::filesystem::remove(Path("data/conf"));
  }
  EXPECT_OK(Give({.path = Path("data")}));
}

// The role could have named it so.
TEST_F(RoleFilesTest, GivesNothingInAFolderOfTheRole) {
  ASSERT_OK(Give({.path = Path("data"), .has_keys = true}));
  Write("data/keys.json");
  std::filesystem::create_symlink("/", Path("data/link"));
  ASSERT_OK(Give({.path = Path("data"), .has_keys = true}));
  EXPECT_EQ(Access(Path("data/keys.json")), "0:0 600");
  for (const char* below : {"data/link/srv", "data/link", "data/made"}) {
    EXPECT_OK(Give({.path = Path(below), .has_keys = true})) << below;
    EXPECT_OK(LetRead(Path(below) + "/token", kUser));
  }
  EXPECT_EQ(Access("/srv").substr(0, 4), "0:0 ");
  EXPECT_FALSE(std::filesystem::exists(Path("data/made")));
}

TEST_F(RoleFilesTest, SharesAFolderWithFoldersOfRoots) {
  Write("data/keys.json");
  std::filesystem::create_directory(Path("data/conf"));
  for (int time = 0; time < 2; ++time) {
    ASSERT_OK(Give({.path = Path("data"), .has_keys = true}));
    EXPECT_EQ(Access(Path("data")), "0:4343 1770");
    EXPECT_EQ(Access(Path("data/keys.json")), "4242:4343 600");
    EXPECT_EQ(Access(Path("data/conf")).substr(0, 4), "0:0 ");
  }
  // The role could have moved it here from a folder of its own.
  Write("data/agent-data.json");
  ASSERT_OK(Give({.path = Path("data"), .has_keys = true}));
  EXPECT_OK(LetRead(Path("data/agent-data.json"), kUser));
  EXPECT_EQ(Access(Path("data/agent-data.json")), "0:0 600");
}

TEST_F(RoleFilesTest, KeepsAFolderWithFilesOfOthers) {
  Write("data/keys.json");
  Write("data/datastore.sqlite3");
  EXPECT_THAT(Give({.path = Path("data"), .has_keys = true}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("\"datastore.sqlite3\"")));
  EXPECT_EQ(Access(Path("data")), "0:0 700");
  EXPECT_EQ(Access(Path("data/keys.json")), "0:0 600");
  // Of the same name as a file that the role reads elsewhere.
  Write("datastore.sqlite3");
  EXPECT_FALSE(Give({.path = Path("data"), .beside = {Path("datastore.sqlite3")}}).ok());
}

TEST_F(RoleFilesTest, KeepsAFolderOfAGroupOrOfTheSystem) {
  std::filesystem::create_directory(Path("data/conf"));
  ASSERT_EQ(chown(Path("data").c_str(), 0, 77), 0);
  EXPECT_THAT(Give({.path = Path("data")}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is not root's alone")));
  EXPECT_EQ(Access(Path("data")), "0:77 700");
  EXPECT_FALSE(Give({.path = "/"}).ok());
  EXPECT_FALSE(Give({.path = "/etc/../etc"}).ok());
  EXPECT_FALSE(Give({.path = "/srv"}).ok());
}

TEST_F(RoleFilesTest, KeepsAFolderOfAnotherUser) {
  ASSERT_EQ(chown(Path("data").c_str(), 77, 77), 0);
  EXPECT_THAT(Give({.path = Path("data")}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("belongs to user 77")));
  // Of the time before there was a user for the role.
  Write("data/keys.json");
  ASSERT_EQ(chown(Path("data").c_str(), 60940, 60940), 0);
  EXPECT_OK(Give({.path = Path("data"), .has_keys = true}));
  EXPECT_EQ(Access(Path("data")), "4242:4343 700");
  EXPECT_EQ(Access(Path("data/keys.json")), "0:0 600");
}

TEST_F(RoleFilesTest, MakesAFolderThatIsThere) {
  ASSERT_OK(Give({.path = Path("a/b")}));
  EXPECT_EQ(Access(Path("a/b")), "4242:4343 700");
  EXPECT_EQ(Access(Path("a")), "0:0 755");
  EXPECT_THAT(Give({.path = Path("data/in-roots")}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("may not enter")));
}

TEST_F(RoleFilesTest, LetsTheGroupReadAFileThatIsRootsAlone) {
  const std::string file = Write("token");
  ASSERT_OK(LetRead(file, kUser));
  EXPECT_EQ(Access(file), "0:4343 640");
  ASSERT_OK(LetRead(file, kUser));
  EXPECT_EQ(Access(file), "0:4343 640");
  EXPECT_OK(LetRead(Path("absent"), kUser));
  ASSERT_EQ(chown(Path("data").c_str(), kUser.uid, kUser.gid), 0);
  EXPECT_OK(LetRead(Write("data/planted"), kUser));
  EXPECT_EQ(Access(Path("data/planted")), "0:0 600");
}

TEST_F(RoleFilesTest, LetsTheGroupReadAFileWithTheMonitorsCapabilities) {
  const std::string file = Write("renewed");
  const pid_t child = fork();
  if (child == 0) {
    const bool done = KeepOnlyMonitorCapabilities(0).ok() && chown(file.c_str(), 0, 77) != 0 &&
                      LetRead(file, kUser).ok() && getegid() == 0;
    _exit(done ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(Access(file), "0:4343 640");
}

TEST_F(RoleFilesTest, LeavesFilesThatAreNotRootsAlone) {
  const std::string others = Write("others");
  ASSERT_EQ(chown(others.c_str(), 77, 0), 0);
  const std::string shared = Write("shared", 0640);
  ASSERT_EQ(chown(shared.c_str(), 0, 77), 0);
  const std::string linked = Write("linked");
  std::filesystem::create_hard_link(linked, Path("other-name"));
  const std::string target = Write("target");
  std::filesystem::create_symlink(target, Path("symbolic"));
  for (const char* name : {"others", "shared", "linked", "symbolic"}) {
    EXPECT_OK(LetRead(Path(name), kUser));
  }
  EXPECT_EQ(Access(others), "77:0 600");
  EXPECT_EQ(Access(shared), "0:77 640");
  EXPECT_EQ(Access(linked), "0:0 600");
  EXPECT_EQ(Access(target), "0:0 600");
}

TEST_F(RoleFilesTest, LetsTheGroupUseASimulatorThatIsRootsAlone) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  Path("tpm").copy(address.sun_path, sizeof(address.sun_path) - 1);
  const UniqueFd server(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(server.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(chmod(address.sun_path, 0700), 0);
  ASSERT_OK(LetUseTpm(Path("tpm"), kUser));
  EXPECT_EQ(Access(Path("tpm")), "0:4343 760");
  const std::string file = Write("file");
  EXPECT_OK(LetUseTpm(file, kUser));
  EXPECT_EQ(Access(file), "0:0 600");
}

TEST_F(RoleFilesTest, NamesTheFolderThatMayNotBeEntered) {
  Write("data/file", 0644);
  EXPECT_THAT(CheckReachable(Path("data/file"), kUser),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(Path("data"))));
  ASSERT_EQ(chown(Path("data").c_str(), 0, 4444), 0);
  ASSERT_EQ(chmod(Path("data").c_str(), 0710), 0);
  EXPECT_OK(CheckReachable(Path("data/file"), kUser));
}

}  // namespace
}  // namespace assay
