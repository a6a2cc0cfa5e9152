// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/prober.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::_;
using testing::ElementsAre;
using testing::HasSubstr;

class FakeAttestor final : public WorkloadAttestor {
 public:
  explicit FakeAttestor(absl::StatusOr<std::vector<Selector>> answer)
      : answer_(std::move(answer)) {}
  std::string_view type() const override { return "fake"; }
  absl::StatusOr<std::vector<Selector>> Attest(const Subject& subject) override {
    if (during) {
      during(subject);
    }
    return answer_;
  }
  bool ReadsProcess() const override { return reads_process; }
  bool MayBlock(const Subject&) override { return may_block; }

  std::function<void(const Subject&)> during;
  bool may_block = false;
  bool reads_process = true;

 private:
  absl::StatusOr<std::vector<Selector>> answer_;
};

Prober MakeProber(std::vector<FakeAttestor*> fakes) {
  std::vector<std::unique_ptr<WorkloadAttestor>> attestors;
  for (FakeAttestor* fake : fakes) {
    attestors.emplace_back(fake);
  }
  static const SystemClock kClock;
  return Prober(std::move(attestors), kClock);
}

// A child that waits until it is told to execute another program, or killed.
class Child final {
 public:
  Child() {
    int go[2];
    EXPECT_EQ(pipe(go), 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(go[1]);
      char byte = 0;
      if (read(go[0], &byte, 1) == 1) {
        execl("/bin/sleep", "sleep", "1000", nullptr);
      }
      _exit(0);
    }
    close(go[0]);
    go_.Reset(go[1]);
  }
  ~Child() { Kill(); }
  void Exec() const {
    ASSERT_EQ(write(go_.get(), "x", 1), 1);
    const ExecutableFile before = ReadExecutable(0, "/proc/self/exe");
    while (ReadExecutable(0, "/proc/" + std::to_string(pid_) + "/exe").inode == before.inode) {
    }
  }
  void Kill() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
      pid_ = 0;
    }
  }
  UniqueFd OpenPidfd() const {
    return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  }
  Prober::Claim Claim() const { return {.pid = pid_, .uid = geteuid(), .gid = getegid()}; }

 private:
  pid_t pid_ = 0;
  UniqueFd go_;
};

const std::vector<Selector> kOne = {{"fake", "one"}};
const std::vector<Selector> kTwo = {{"fake", "two"}};

TEST(ProberTest, GathersFactsAndTheSelectorsOfAllAttestors) {
  const Prober prober = MakeProber({new FakeAttestor(kOne), new FakeAttestor(kTwo)});
  Child child;
  auto attestation = prober.Begin(child.Claim(), child.OpenPidfd());
  ASSERT_OK(attestation);
  EXPECT_EQ(attestation->executable.inode, ReadExecutable(0, "/proc/self/exe").inode);
  ASSERT_OK(prober.Finish(*attestation));
  EXPECT_THAT(attestation->selectors, ElementsAre(kOne[0], kTwo[0]));
}

TEST(ProberTest, RefusesADeadProcess) {
  const Prober prober = MakeProber({});
  Child child;
  UniqueFd pidfd = child.OpenPidfd();
  const Prober::Claim claim = child.Claim();
  child.Kill();
  EXPECT_THAT(prober.Begin(claim, std::move(pidfd)),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("is gone")));
}

TEST(ProberTest, TellsHowLongEachAttestorTookAndWhyOneFailed) {
  FakeClock clock;
  auto* slow = new FakeAttestor(kOne);
  slow->during = [&clock](const Subject&) { clock.Advance(absl::Milliseconds(30)); };
  std::vector<std::unique_ptr<WorkloadAttestor>> attestors;
  attestors.emplace_back(slow);
  attestors.emplace_back(new FakeAttestor(Internal("no socket\n")));
  attestors.emplace_back(new FakeAttestor(kTwo));
  const Prober prober(std::move(attestors), clock);
  Child child;
  auto attestation = prober.Begin(child.Claim(), child.OpenPidfd());
  ASSERT_OK(attestation);
  ASSERT_OK(prober.Finish(*attestation));
  EXPECT_THAT(attestation->runs,
              ElementsAre(AttestorRun{"fake", absl::Milliseconds(30), ""},
                          AttestorRun{"fake", {}, "no socket\\x0a"}, AttestorRun{"fake", {}, ""}));
}

TEST(ProberTest, TheAttestorThatFoundTooMuchIsLeftOutAlone) {
  std::vector<Selector> most(1000, {"fake", std::string(100, 'm')});
  std::vector<Selector> many(1000, {"fake", std::string(40, 'n')});
  const Prober prober = MakeProber({new FakeAttestor(kOne), new FakeAttestor(most),
                                    new FakeAttestor(many), new FakeAttestor(kTwo)});
  Child child;
  auto attestation = prober.Begin(child.Claim(), child.OpenPidfd());
  ASSERT_OK(attestation);
  testing::internal::CaptureStdout();
  EXPECT_OK(prober.Finish(*attestation));
  EXPECT_THAT(testing::internal::GetCapturedStdout(),
              HasSubstr("attestor=fake error=\"1000 selectors of 120000 bytes"));
  EXPECT_THAT(attestation->runs.at(1).error, HasSubstr("1000 selectors of 120000 bytes"));
  EXPECT_EQ(attestation->selectors.size(), many.size() + 2);
  EXPECT_THAT(attestation->selectors, testing::Not(testing::Contains(most[0])));
}

TEST(ProberTest, WhenTheOnlyAttestorFoundTooMuchTheAttestationFails) {
  const Prober prober =
      MakeProber({new FakeAttestor(std::vector<Selector>(20, {"fake", std::string(10'000, 'm')}))});
  Child child;
  auto attestation = prober.Begin(child.Claim(), child.OpenPidfd());
  ASSERT_OK(attestation);
  EXPECT_THAT(prober.Finish(*attestation), StatusIs(absl::StatusCode::kUnavailable, _));
}

// The number of a dead caller that another process has by now.
TEST(ProberTest, RefusesThePidfdOfADeadProcessBesideALivePid) {
  const Prober prober = MakeProber({});
  Child dead;
  UniqueFd pidfd = dead.OpenPidfd();
  dead.Kill();
  Child other;
  EXPECT_FALSE(prober.Begin(other.Claim(), std::move(pidfd)).ok());
}

// Out of descriptors, which says nothing of the process.
TEST(ProberTest, DoesNotCallAProcessGoneForWantOfDescriptors) {
  const Prober prober = MakeProber({});
  Child child;
  EXPECT_THAT(prober.Begin(child.Claim(), UniqueFd()),
              StatusIs(absl::StatusCode::kResourceExhausted, testing::_));
  UniqueFd pidfd = child.OpenPidfd();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{1, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto begun = prober.Begin(child.Claim(), std::move(pidfd));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THAT(begun, StatusIs(absl::StatusCode::kResourceExhausted, testing::_));
}

TEST(ProberTest, RefusesOtherCredentialsThanClaimed) {
  const Prober prober = MakeProber({});
  Child child;
  Prober::Claim claim = child.Claim();
  claim.uid += 1;
  EXPECT_THAT(prober.Begin(claim, child.OpenPidfd()),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("connected as")));
  EXPECT_THAT(prober.Recheck(claim), StatusIs(absl::StatusCode::kPermissionDenied, testing::_));
  claim = child.Claim();
  claim.gid += 1;
  EXPECT_FALSE(prober.Begin(claim, child.OpenPidfd()).ok());
}

// Nobody has said whose it is; what is found is its own user's.
TEST(ProberTest, AttestsAProcessOfAnyOwner) {
  uid_t seen = 0;
  auto* fake = new FakeAttestor(kOne);
  fake->during = [&](const Subject& subject) { seen = subject.uid; };
  const Prober prober = MakeProber({fake});
  Child child;
  Prober::Claim claim{.pid = child.Claim().pid, .uid = geteuid() + 1, .gid = getegid() + 1};
  claim.any_owner = true;
  auto attestation = prober.Begin(claim, child.OpenPidfd());
  ASSERT_OK(attestation);
  ASSERT_OK(prober.Finish(*attestation));
  EXPECT_EQ(seen, geteuid());
  UniqueFd pidfd = child.OpenPidfd();
  child.Kill();
  EXPECT_THAT(prober.Begin(claim, std::move(pidfd)),
              StatusIs(absl::StatusCode::kNotFound, testing::_));
}

// Those of the socket are the caller's; without them it is asked of the process.
TEST(ProberTest, AttestsTheGroupsOfTheClaim) {
  std::vector<gid_t> seen;
  auto* fake = new FakeAttestor(kOne);
  fake->during = [&](const Subject& subject) { seen = subject.supplementary_gids; };
  const Prober prober = MakeProber({fake});
  Child child;
  Prober::Claim claim = child.Claim();
  claim.groups = {{5, 4294960000}};
  auto attestation = prober.Begin(claim, child.OpenPidfd());
  ASSERT_OK(attestation);
  ASSERT_OK(prober.Finish(*attestation));
  EXPECT_THAT(seen, ElementsAre(5u, 4294960000u));
  claim.uid += 1;
  EXPECT_THAT(prober.Begin(claim, child.OpenPidfd()),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("connected as")));
}

// Else a process would be attested anew after each look at it.
TEST(ProberTest, ClaimedGroupsAndThoseOfTheProcessHaveOneDigest) {
  const Prober prober = MakeProber({});
  Child child;
  Prober::Claim claim = child.Claim();
  std::vector<gid_t> groups(static_cast<size_t>(getgroups(0, nullptr)));
  ASSERT_EQ(getgroups(static_cast<int>(groups.size()), groups.data()), groups.size());
  claim.groups = groups;
  const auto first = prober.Begin(claim, child.OpenPidfd());
  const auto later = prober.Recheck(child.Claim());
  ASSERT_OK(first);
  ASSERT_OK(later);
  EXPECT_EQ(first->credentials.GroupsDigest(), later->credentials.GroupsDigest());
}

TEST(ProberTest, SkipsAnAttestorThatFailsUnlessAllDo) {
  Child child;
  const Prober one = MakeProber({new FakeAttestor(Internal("no")), new FakeAttestor(kTwo)});
  auto attestation = one.Begin(child.Claim(), child.OpenPidfd());
  ASSERT_OK(one.Finish(*attestation));
  EXPECT_THAT(attestation->selectors, ElementsAre(kTwo[0]));
  const Prober none = MakeProber({new FakeAttestor(Internal("no"))});
  attestation = none.Begin(child.Claim(), child.OpenPidfd());
  EXPECT_THAT(none.Finish(*attestation),
              StatusIs(absl::StatusCode::kUnavailable, "workload attestation failed"));
}

TEST(ProberTest, RefusesAProcessThatDiesOrExecutesWhileItIsAttested) {
  Child dying;
  auto* kills = new FakeAttestor(kOne);
  kills->during = [&](const Subject&) { dying.Kill(); };
  const Prober first = MakeProber({kills});
  auto attestation = first.Begin(dying.Claim(), dying.OpenPidfd());
  EXPECT_THAT(first.Finish(*attestation), StatusIs(absl::StatusCode::kNotFound, testing::_));

  Child executing;
  auto* execs = new FakeAttestor(kOne);
  execs->during = [&](const Subject&) { executing.Exec(); };
  const Prober second = MakeProber({execs});
  attestation = second.Begin(executing.Claim(), executing.OpenPidfd());
  EXPECT_THAT(second.Finish(*attestation),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another program")));
}

// What is given of a process was read before: another program makes no mixture of it, unless it
// had the time to take the first one's place.
TEST(ProberTest, LooksAgainAtAProcessThatNobodyReadOnlyAfterAWait) {
  for (const bool waited : {false, true}) {
    Child executing;
    auto* execs = new FakeAttestor(kOne);
    execs->reads_process = false;
    execs->during = [&](const Subject&) { executing.Exec(); };
    const Prober prober = MakeProber({execs});
    auto attestation = prober.Begin(executing.Claim(), executing.OpenPidfd());
    ASSERT_OK(attestation);
    attestation->waited = waited;
    EXPECT_EQ(prober.Finish(*attestation).ok(), !waited);
  }
}

TEST(ProberTest, RechecksTheExecutableByNumber) {
  const Prober prober = MakeProber({});
  Child child;
  const auto before = prober.Recheck(child.Claim());
  ASSERT_OK(before);
  child.Exec();
  const auto after = prober.Recheck(child.Claim());
  ASSERT_OK(after);
  EXPECT_NE(before->executable.inode, after->executable.inode);
}

TEST(ProberTest, AsksItsAttestorsWhetherTheyMayBlock) {
  auto* fake = new FakeAttestor(kOne);
  const Prober prober = MakeProber({fake});
  Child child;
  const auto attestation = prober.Begin(child.Claim(), child.OpenPidfd());
  EXPECT_FALSE(prober.MayBlock(*attestation));
  fake->may_block = true;
  EXPECT_TRUE(prober.MayBlock(*attestation));
}

}  // namespace
}  // namespace assay
