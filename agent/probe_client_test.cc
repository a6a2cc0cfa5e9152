// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/probe_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "assay/roles.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

// A client and a probe that writes down of which users it is asked, and answers when it is told.
struct Fixture {
  Fixture() { Link(); }
  void Link() {
    auto ends = Channel::MakePair().value();
    asked.clear();
    ids.clear();
    probe = Channel::Create(
                *loop, std::move(ends.first),
                [this](std::string_view bytes, UniqueFd) {
                  roles::AttestRequest request;
                  EXPECT_TRUE(request.ParseFromString(std::string(bytes)));
                  asked.push_back(request.uid());
                  last = request;
                  ids.push_back(request.id());
                },
                [](const absl::Status&) {})
                .value();
    EXPECT_OK(client.Link(std::move(ends.second)));
  }
  uint64_t Attest(uid_t uid) {
    return client.Attest({.pid = 1, .uid = uid, .gid = 0, .pidfd = 0}, std::nullopt, Note());
  }
  uint64_t Recheck(uid_t uid) {
    return client.Recheck({.pid = 1, .uid = uid, .gid = 0, .pidfd = 0}, Note());
  }
  ProbeClient::Done Note() {
    return [this](const auto& reply) { answers.push_back(reply.ok() ? "reply" : "none"); };
  }
  void Answer(uint64_t id) {
    roles::AttestReply reply;
    reply.set_id(id);
    EXPECT_OK(probe->Send(reply));
  }
  void Settle() {
    for (int i = 0; i < 20; ++i) {
      loop->RunOnce(absl::ZeroDuration());
    }
  }

  FakeClock clock;
  std::unique_ptr<EventLoop> loop = EventLoop::Create(clock).value();
  std::optional<absl::Status> ended;
  ProbeClient client{*loop, clock, [this](const absl::Status& why) { ended = why; }};
  std::unique_ptr<Channel> probe;
  std::vector<uid_t> asked;
  std::vector<uint64_t> ids;
  roles::AttestRequest last;
  std::vector<std::string> answers;
};

// No groups are not the same as unknown ones: those the probe reads itself.
TEST(ProbeClientTest, TellsNoGroupsFromUnknownOnes) {
  Fixture fixture;
  const auto ask = [&](ProbeClient::Groups groups) {
    fixture.client.Attest({.pid = 1, .uid = 1, .gid = 0, .pidfd = 0}, std::move(groups),
                          fixture.Note());
    fixture.Settle();
    return fixture.last;
  };
  EXPECT_FALSE(ask(std::nullopt).has_groups());
  const roles::AttestRequest none = ask(std::vector<gid_t>());
  EXPECT_TRUE(none.has_groups());
  EXPECT_EQ(none.groups().gids_size(), 0);
  EXPECT_THAT(ask({{5, 4294960000}}).groups().gids(), ElementsAre(5u, 4294960000u));
}

TEST(ProbeClientTest, AsksForFewOfAUserAtATime) {
  Fixture fixture;
  for (size_t i = 0; i < ProbeClient::kMaxAskedOfUser + 5; ++i) {
    EXPECT_NE(fixture.Attest(1), 0u);
  }
  fixture.Settle();
  ASSERT_THAT(fixture.asked, SizeIs(ProbeClient::kMaxAskedOfUser));
  EXPECT_NE(fixture.Attest(2), 0u);
  EXPECT_NE(fixture.Recheck(1), 0u);
  fixture.Settle();
  EXPECT_THAT(fixture.asked, SizeIs(ProbeClient::kMaxAskedOfUser + 2)) << "nobody waits for user 1";
  fixture.Answer(fixture.ids[3]);
  fixture.Settle();
  EXPECT_THAT(fixture.answers, ElementsAre("reply"));
  EXPECT_THAT(fixture.asked, SizeIs(ProbeClient::kMaxAskedOfUser + 3));
}

TEST(ProbeClientTest, TakesUsersByTurnsOnceManyWait) {
  Fixture fixture;
  for (uid_t uid = 100; uid < 110; ++uid) {
    for (size_t i = 0; i < ProbeClient::kMaxAskedOfUser; ++i) {
      fixture.Attest(uid);
    }
  }
  fixture.Settle();
  ASSERT_THAT(fixture.asked, SizeIs(ProbeClient::kMaxAsked));
  fixture.Attest(1);
  for (int i = 0; i < 4; ++i) {
    fixture.Answer(fixture.ids[static_cast<size_t>(i)]);
  }
  fixture.Settle();
  fixture.asked.erase(fixture.asked.begin(), fixture.asked.begin() + ProbeClient::kMaxAsked);
  EXPECT_THAT(fixture.asked, testing::Contains(1u));
}

TEST(ProbeClientTest, NeverAsksForWhatWasCancelled) {
  Fixture fixture;
  std::vector<uint64_t> waiting;
  for (size_t i = 0; i < ProbeClient::kMaxAskedOfUser + 100; ++i) {
    waiting.push_back(fixture.Attest(1));
  }
  for (const uint64_t id : waiting) {
    fixture.client.Cancel(id);
  }
  fixture.Attest(1);
  fixture.Settle();
  ASSERT_THAT(fixture.asked, SizeIs(ProbeClient::kMaxAskedOfUser));
  fixture.Answer(fixture.ids[0]);
  fixture.Settle();
  EXPECT_THAT(fixture.asked, SizeIs(ProbeClient::kMaxAskedOfUser + 1)) << "the last one alone";
  EXPECT_TRUE(fixture.answers.empty());
}

TEST(ProbeClientTest, RefusesMoreOfOneUserThanItKeeps) {
  Fixture fixture;
  for (size_t i = 0; i < ProbeClient::kMaxOfUser; ++i) {
    ASSERT_NE(fixture.Attest(1), 0u);
  }
  EXPECT_EQ(fixture.Attest(1), 0u);
  EXPECT_NE(fixture.Attest(2), 0u);
}

TEST(ProbeClientTest, AsksANewProbeWhatTheLastDidNotAnswer) {
  Fixture fixture;
  fixture.Attest(1);
  fixture.Attest(2);
  fixture.Recheck(3);
  fixture.Settle();
  fixture.Answer(fixture.ids[0]);
  fixture.Settle();
  fixture.Link();
  fixture.Settle();
  EXPECT_THAT(fixture.asked, ElementsAre(2u, 3u));
}

TEST(ProbeClientTest, SaysWhatIsNotAnsweredInTime) {
  Fixture fixture;
  fixture.Attest(1);
  fixture.Settle();
  fixture.clock.Advance(absl::Seconds(31));
  fixture.Settle();
  EXPECT_THAT(fixture.answers, ElementsAre("none"));
}

TEST(ProbeClientTest, DropsAProbeThatBreaksTheRules) {
  Fixture fixture;
  roles::AttestReply reply;
  reply.set_id(1);
  EXPECT_OK(fixture.probe->Send(reply, 0));
  fixture.Settle();
  ASSERT_TRUE(fixture.ended.has_value());
  EXPECT_TRUE(absl::IsInvalidArgument(*fixture.ended));
}

}  // namespace
}  // namespace assay
