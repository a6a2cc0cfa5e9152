// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/workload/unix.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
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
    std::filesystem::create_directory(folder.path() + "/ns");
    std::filesystem::create_symlink("/proc/self/ns/user", folder.path() + "/ns/user");
    fd.Reset(open(folder.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  Subject At(uid_t uid, gid_t gid, std::vector<gid_t> groups = {}) const {
    return {.pid = 1,
            .folder = fd.get(),
            .pidfd = -1,
            .uid = uid,
            .gid = gid,
            .supplementary_gids = groups};
  }
  TempFolder folder;
  std::string executable;
  UniqueFd fd;
};

// No machine has such numbers.
constexpr id_t kNameless = 3999999999;

TEST(UnixAttestorTest, ReadsAProcessOnlyForItsPath) {
  FakeClock clock;
  EXPECT_FALSE(UnixAttestor(clock, {}).ReadsProcess());
  EXPECT_TRUE(UnixAttestor(clock, {.discover_workload_path = true}).ReadsProcess());
}

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
  EXPECT_THAT(small.Attest(process.At(0, 0)),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       "SHA256 digest: the executable exceeds size limit (4 > 2)"));
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

TEST(UnixAttestorTest, BlocksForNamesItDoesNotKnowAndForFiles) {
  FakeClock clock;
  FakeProcess process("one");
  UnixAttestor names(clock, {});
  EXPECT_TRUE(names.MayBlock(process.At(0, 0)));
  ASSERT_OK(names.Attest(process.At(0, 0)));
  EXPECT_FALSE(names.MayBlock(process.At(0, 0)));
  EXPECT_TRUE(names.MayBlock(process.At(0, 0, {kNameless})));
  UnixAttestor files(clock, {.discover_workload_path = true});
  ASSERT_OK(files.Attest(process.At(0, 0)));
  EXPECT_TRUE(files.MayBlock(process.At(0, 0)));
}

TEST(UnixAttestorTest, HashesAnewWhatHasChanged) {
  FakeClock clock;
  FakeProcess process("one");
  UnixAttestor attestor(clock, {.discover_workload_path = true});
  for (const char* content : {"one", "two"}) {
    ASSERT_OK(WriteFileAtomically(process.executable, content, 0755));
    EXPECT_THAT(Texts(attestor.Attest(process.At(0, 0)).value()),
                Contains("unix:sha256:" +
                         crypto::HexEncode(crypto::Digest(crypto::Hash::kSha256, content))));
  }
}

TEST(UnixAttestorTest, GivesUpOnTheFileOfADeadProcess) {
  FakeClock clock;
  FakeProcess process;
  int ends[2];  // A pipe whose other end is closed is as readable as the pidfd of the dead.
  ASSERT_EQ(pipe(ends), 0);
  close(ends[1]);
  const UniqueFd dead(ends[0]);
  Subject subject = process.At(0, 0);
  subject.pidfd = dead.get();
  UnixAttestor attestor(clock, {.discover_workload_path = true});
  EXPECT_THAT(attestor.Attest(subject),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("has ended")));
}

// A process that has its own file systems, or its own users, from a moment before it says so.
class IsolatedProcess final {
 public:
  // Isolates by the flags of unshare(2), then puts this program in the place of `over`, when there
  // is one, and executes what is there.
  IsolatedProcess(int flags, const std::string& over) {
    int ready[2];
    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      const bool isolated =
          unshare(flags) == 0 &&
          (over.empty() || (mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                            mount("/bin/sleep", over.c_str(), nullptr, MS_BIND, nullptr) == 0));
      const char failed = 'f';
      if (!isolated && write(ready[1], &failed, 1) == 1) {
        _exit(1);
      }
      execl(over.empty() ? "/bin/sleep" : over.c_str(), "sleep", "1000", nullptr);
      _exit(1);
    }
    close(ready[1]);
    char byte = 0;
    // Closed by the exec.
    is_isolated_ = read(ready[0], &byte, 1) == 0;
    close(ready[0]);
    folder_.Reset(open(("/proc/" + std::to_string(pid_)).c_str(), O_PATH | O_CLOEXEC));
  }
  ~IsolatedProcess() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  IsolatedProcess(const IsolatedProcess&) = delete;
  IsolatedProcess& operator=(const IsolatedProcess&) = delete;
  bool is_isolated() const { return is_isolated_; }
  Subject At() const {
    return {.pid = pid_,
            .folder = folder_.get(),
            .pidfd = -1,
            .uid = 0,
            .gid = 0,
            .supplementary_gids = {}};
  }

 private:
  pid_t pid_ = 0;
  bool is_isolated_ = false;
  UniqueFd folder_;
};

TEST(UnixAttestorTest, GivesNoPathThatIsOfAnotherFileOnTheMachine) {
  FakeClock clock;
  const FakeProcess victim;
  UnixAttestor attestor(clock, {.discover_workload_path = true});
  const IsolatedProcess honest(0, "");
  EXPECT_THAT(Texts(attestor.Attest(honest.At()).value()), Contains(StartsWith("unix:path:")));
  const IsolatedProcess forger(CLONE_NEWNS, victim.executable);
  if (!forger.is_isolated()) {
    GTEST_SKIP() << "needs root to mount";
  }
  const auto selectors = attestor.Attest(forger.At());
  ASSERT_OK(selectors);
  EXPECT_THAT(Texts(*selectors), Not(Contains(StartsWith("unix:path:"))));
  EXPECT_THAT(Texts(*selectors), Contains(StartsWith("unix:sha256:")));
}

TEST(UnixAttestorTest, GivesNothingOfTheExecutableInAnotherUserNamespace) {
  FakeClock clock;
  UnixAttestor attestor(clock, {.discover_workload_path = true});
  const IsolatedProcess forger(CLONE_NEWUSER, "");
  if (!forger.is_isolated()) {
    GTEST_SKIP() << "user namespaces are not to be had here";
  }
  const auto selectors = attestor.Attest(forger.At());
  ASSERT_OK(selectors);
  EXPECT_THAT(Texts(*selectors), Not(Contains(StartsWith("unix:path:"))));
  EXPECT_THAT(Texts(*selectors), Not(Contains(StartsWith("unix:sha256:"))));
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

TEST(NameCacheTest, ForgetsTheOldestWhenFull) {
  FakeClock clock;
  TempFolder folder;
  NameCache names(clock, folder.path() + "/passwd", CountingLookup);
  for (id_t id = 0; id <= 16384; ++id) {
    names.Get(id);
  }
  EXPECT_FALSE(names.Knows(0));
  EXPECT_TRUE(names.Knows(1));
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
