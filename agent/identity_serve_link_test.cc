// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_serve_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "assay/roles.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_serve.h"
#include "tests/support/make_entry.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

class ServeLinkTest : public testing::Test {
 protected:
  ServeLinkTest() : loop_(*EventLoop::Create(clock_)) {
    auto ends = *Channel::MakePair();
    auto link = ServeLink::Create(
        *loop_, std::move(ends.first), {entries_, svids_, bundles_},
        [this](const roles::ServeRequest& request) { requests_.push_back(request); },
        [this](const absl::Status& why) { closed_ = why; });
    EXPECT_OK(link);
    link_ = *std::move(link);
    auto channel = Channel::Create(
        *loop_, std::move(ends.second),
        [this](std::string_view bytes, UniqueFd) {
          roles::StateChange change;
          ASSERT_TRUE(change.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
          serve_.Take(change);
        },
        [](const absl::Status&) {});
    EXPECT_OK(channel);
    channel_ = *std::move(channel);
  }

  void AddEntries(int first, int count, const std::string& hint = "") {
    SyncPass pass(entries_, absl::ZeroDuration());
    for (size_t place = 0; place < entries_.places(); ++place) {
      if (const StoredEntry* entry = entries_.At(place); entry != nullptr) {
        pass.NeedsEntry({std::string(entry->id()), entry->revision_number, entry->created_at});
      }
    }
    for (int i = first; i < first + count; ++i) {
      RegistrationEntry entry = MakeEntry(std::to_string(i), ++revision_);
      entry.hint = hint;
      pass.OnEntry(std::move(entry));
    }
    entries_.Apply(pass);
  }

  void AddSvid(const std::string& id, size_t chain_bytes = 10) {
    ReadySvid svid;
    svid.chain = std::string(chain_bytes, 'c');
    svid.key = Secret("key");
    svid.expires = kNow;
    svids_.Put(id, std::move(svid), absl::ZeroDuration());
  }

  void Run() {
    for (int i = 0; i < 200; ++i) {
      clock_.Advance(absl::Milliseconds(2));
      loop_->RunOnce(absl::ZeroDuration());
    }
  }

  FakeClock clock_;
  EntryStore entries_;
  SvidStore svids_;
  std::map<std::string, TrustBundle> bundles_;
  FakeServe serve_;
  std::vector<roles::ServeRequest> requests_;
  absl::Status closed_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ServeLink> link_;
  std::unique_ptr<Channel> channel_;
  int64_t revision_ = 0;
};

TEST_F(ServeLinkTest, TellsTheCompleteStateFirstAndAfterThatTheChangesAlone) {
  AddEntries(0, 3);
  AddSvid("1");
  link_->SvidChanged("1");
  Run();
  EXPECT_EQ(serve_.packets, 0) << "nothing before the first commit";
  link_->Commit({.last_sync = kNow});
  Run();
  EXPECT_THAT(serve_.entries, SizeIs(3));
  EXPECT_EQ(serve_.svids["1"].chain(), std::string(10, 'c'));
  EXPECT_EQ(serve_.svids["1"].key(), "key");
  EXPECT_EQ(serve_.last_sync, 1'800'000'000);
  svids_.Remove("1");
  AddEntries(3, 1);
  link_->SvidChanged("1");
  link_->EntryChanged("3");
  link_->Commit({.last_sync = kNow + absl::Seconds(5), .agent_chain = "chain"});
  Run();
  EXPECT_THAT(serve_.entries, SizeIs(4));
  EXPECT_THAT(serve_.svids, IsEmpty());
  EXPECT_EQ(serve_.packets, 2);
}

TEST_F(ServeLinkTest, SplitsALargeStateAndCommitsItOnce) {
  AddEntries(0, 3000, std::string(1000, 'h'));
  for (int i = 0; i < 100; ++i) {
    AddSvid(std::to_string(i), 5000);
    link_->SvidChanged(std::to_string(i));
  }
  link_->Commit({.last_sync = kNow});
  Run();
  EXPECT_THAT(serve_.entries, SizeIs(3000));
  EXPECT_THAT(serve_.svids, SizeIs(100));
  EXPECT_GT(serve_.packets, 10);
  EXPECT_EQ(serve_.commits, 1);
  EXPECT_OK(closed_);
}

TEST_F(ServeLinkTest, AChangeDuringTheCompleteStateIsNotLost) {
  AddEntries(0, 3000, std::string(1000, 'h'));
  link_->Commit({.last_sync = kNow});
  loop_->RunOnce(absl::ZeroDuration());
  ASSERT_EQ(serve_.commits, 0) << "the state must not fit in what the channel queues";
  AddEntries(0, 1, "changed");
  link_->EntryChanged("0");
  link_->Commit({.last_sync = kNow});
  Run();
  EXPECT_EQ(serve_.entries["0"].hint(), "changed");
  EXPECT_THAT(serve_.entries, SizeIs(3000));
}

TEST_F(ServeLinkTest, TheAgentsChainFindsRoomBesideALargeEntry) {
  AddEntries(0, 1, std::string(Channel::kMaxMessageBytes - 1700, 'h'));
  link_->Commit({.last_sync = kNow, .agent_chain = std::string(1800, 'c')});
  Run();
  EXPECT_EQ(serve_.commits, 1);
  EXPECT_THAT(serve_.entries, SizeIs(1));
  EXPECT_OK(closed_);
}

TEST_F(ServeLinkTest, WhatIsTooLargeForAPacketIsLeftOut) {
  AddSvid("big", 200'000);
  AddSvid("small");
  link_->SvidChanged("big");
  link_->SvidChanged("small");
  link_->Commit({.last_sync = kNow});
  Run();
  EXPECT_THAT(serve_.svids, SizeIs(1));
}

TEST_F(ServeLinkTest, WhatHasBecomeTooLargeForAPacketIsGone) {
  AddEntries(0, 2);
  AddSvid("0");
  link_->SvidChanged("0");
  link_->Commit({.last_sync = kNow});
  Run();
  ASSERT_THAT(serve_.svids, SizeIs(1));
  AddEntries(1, 1, std::string(200'000, 'h'));
  AddSvid("0", 200'000);
  link_->EntryChanged("1");
  link_->SvidChanged("0");
  link_->Commit({.last_sync = kNow});
  Run();
  EXPECT_THAT(serve_.entries, SizeIs(1));
  EXPECT_THAT(serve_.svids, IsEmpty());
}

TEST_F(ServeLinkTest, WhatIsForAStoreIsNotTold) {
  const auto set = [this](const std::string& id, bool store_svid) {
    SyncPass pass(entries_, absl::ZeroDuration());
    for (const char* known : {"0", "1"}) {
      pass.NeedsEntry({known, revision_, 7});
    }
    RegistrationEntry entry = MakeEntry(id, ++revision_);
    entry.store_svid = store_svid;
    pass.OnEntry(std::move(entry));
    entries_.Apply(pass);
    AddSvid(id);
    link_->EntryChanged(id);
    link_->SvidChanged(id);
    link_->Commit({.last_sync = kNow, .store_svids = store_svid ? 1 : 0});
    Run();
  };
  set("0", true);
  EXPECT_THAT(serve_.entries, IsEmpty());
  EXPECT_THAT(serve_.svids, IsEmpty());
  EXPECT_EQ(serve_.store_svids, 1);
  set("1", true);
  EXPECT_THAT(serve_.svids, IsEmpty());
  set("1", false);
  EXPECT_THAT(serve_.entries, SizeIs(1));
  EXPECT_THAT(serve_.svids, SizeIs(1));
  set("1", true);
  EXPECT_THAT(serve_.entries, IsEmpty());
  EXPECT_THAT(serve_.svids, IsEmpty());
}

TEST_F(ServeLinkTest, DropHasServeForgetEverything) {
  AddEntries(0, 3);
  link_->Commit({.last_sync = kNow});
  Run();
  link_->Drop();
  Run();
  EXPECT_THAT(serve_.entries, IsEmpty());
  EXPECT_EQ(serve_.commits, 2);
}

TEST_F(ServeLinkTest, AServeRoleThatAsksAndNeverReadsIsEnded) {
  ReadyJwtSvid svid;
  svid.spiffe_id = "spiffe://d.test/0";
  svid.token = Secret(std::string(1000, 't'));
  svid.expires = kNow;
  const auto tell = [&](bool failed) {
    JwtNews news{.key = {.entry_id = "0", .audience = {"x"}}, .svid = {}};
    failed ? void(news.error = "too many") : void(news.svid = svid.Clone());
    link_->Tell(std::move(news));
  };
  for (int i = 0; i < 10'000; ++i) {
    tell(i % 2 == 0);
  }
  Run();
  EXPECT_OK(closed_) << "it reads, late";
  for (int i = 0; i < 100'000; ++i) {
    tell(i % 2 == 0);
  }
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_TRUE(absl::IsResourceExhausted(closed_)) << closed_;
}

TEST_F(ServeLinkTest, WhatLeavesTheCacheAtOnceEndsNoLink) {
  for (int i = 0; i < 100'000; ++i) {
    link_->Tell(
        {.key = {.entry_id = std::to_string(i), .audience = {std::string(300, 'x')}}, .svid = {}});
  }
  Run();
  EXPECT_OK(closed_);
}

TEST_F(ServeLinkTest, PassesOnRequestsAndEndsAChannelThatSendsAnythingElse) {
  roles::ServeRequest request;
  request.mutable_wanted()->add_entry_ids("7");
  ASSERT_OK(channel_->Send(request));
  Run();
  ASSERT_THAT(requests_, SizeIs(1));
  EXPECT_THAT(requests_[0].wanted().entry_ids(), ElementsAre("7"));
  EXPECT_OK(closed_);
  ASSERT_OK(channel_->Send(roles::ServeRequest()));
  Run();
  EXPECT_FALSE(closed_.ok());
}

}  // namespace
}  // namespace assay
