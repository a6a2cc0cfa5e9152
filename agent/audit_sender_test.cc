// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/audit_sender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/audit_lines.h"
#include "assay/roles.pb.h"
#include "base/sandbox/channel.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

class AuditSenderTest : public testing::Test {
 protected:
  AuditSender Make(bool refuse) {
    return AuditSender({.refuse = refuse, .tell = [this](const roles::HandedOutKeys& keys) {
                          bytes_ += keys.ByteSizeLong();
                          unwritten_ += keys.unwritten();
                          keys_ += static_cast<uint64_t>(keys.keys_size());
                          EXPECT_LT(keys.ByteSizeLong(), Channel::kMaxMessageBytes - 1024);
                          EXPECT_OK(CheckHandedOut(keys));
                          last_ = keys;
                          return absl::OkStatus();
                        }});
  }
  static HandedOut Key() {
    return {.kind = HandedOut::Kind::kX509Svid,
            .entry_id = "e",
            .spiffe_id = "spiffe://example.org/e",
            .expires_at = 9,
            .serial = "17",
            .audience = {},
            .jti = {}};
  }
  // Tells so much that there is no room for more.
  void Fill(AuditSender& sender) const {
    HandedOut large = Key();
    large.audience.assign(8, std::string(1000, 'x'));
    const std::vector<HandedOut> many(50, large);
    while (bytes_ < AuditSender::kMaxUnwritten) {
      ASSERT_OK(sender.Take(receiver_, many));
    }
  }
  static void Tell(AuditSender& sender, uint64_t written, bool failing = false) {
    roles::AuditState state;
    state.set_written(written);
    state.set_failing(failing);
    sender.OnState(state);
  }

  const AuditReceiver receiver_{.service = "WorkloadAPI",
                                .method = "FetchX509SVID",
                                .pid = 42,
                                .uid = 1000,
                                .caller = {.start_ticks = 7,
                                           .started = {},
                                           .cgroup = "/c",
                                           .executable_sha256 = "abcd",
                                           .asks_for = 43}};
  uint64_t bytes_ = 0, keys_ = 0, unwritten_ = 0;
  roles::HandedOutKeys last_;
};

TEST_F(AuditSenderTest, TellsWhoGetsWhat) {
  AuditSender sender = Make(/*refuse=*/true);
  ASSERT_OK(sender.Take(receiver_, std::vector{Key()}));
  EXPECT_EQ(last_.receiver().method(), "FetchX509SVID");
  EXPECT_EQ(last_.receiver().pid(), 42);
  EXPECT_EQ(last_.receiver().origin().cgroup(), "/c");
  EXPECT_EQ(last_.receiver().executable_sha256(), "abcd");
  EXPECT_EQ(last_.receiver().for_pid(), 43);
  ASSERT_EQ(last_.keys_size(), 1);
  EXPECT_EQ(last_.keys(0).serial(), "17");
}

TEST_F(AuditSenderTest, SplitsWhatIsTooMuchForAMessageAndCutsWhatIsTooLong) {
  AuditSender sender = Make(/*refuse=*/true);
  HandedOut long_key = Key();
  long_key.entry_id = long_key.jti = std::string(100'000, 'x');
  long_key.audience.assign(64, std::string(1000, 'y'));
  ASSERT_OK(sender.Take(receiver_, std::vector<HandedOut>(100, long_key)));
  EXPECT_EQ(keys_, 100U);
}

TEST_F(AuditSenderTest, RefusesWhileTheFileCannotBeWrittenTo) {
  AuditSender sender = Make(/*refuse=*/true);
  Tell(sender, 0, /*failing=*/true);
  EXPECT_THAT(sender.Take(receiver_, std::vector{Key()}),
              StatusIs(StatusCode::kUnavailable, HasSubstr("audit log")));
  EXPECT_EQ(keys_, 0U);
  Tell(sender, 0);
  EXPECT_OK(sender.Take(receiver_, std::vector{Key()}));
}

TEST_F(AuditSenderTest, RefusesWhatThereIsNoRoomFor) {
  AuditSender sender = Make(/*refuse=*/true);
  Fill(sender);
  EXPECT_THAT(sender.Take(receiver_, std::vector{Key()}),
              StatusIs(StatusCode::kUnavailable, HasSubstr("audit log")));
  Tell(sender, bytes_ / 2);
  EXPECT_OK(sender.Take(receiver_, std::vector{Key()}));
}

TEST_F(AuditSenderTest, ServesOnWhereItIsAskedToAndCounts) {
  AuditSender sender = Make(/*refuse=*/false);
  Tell(sender, 0, /*failing=*/true);
  Fill(sender);
  const uint64_t told = keys_;
  EXPECT_OK(sender.Take(receiver_, std::vector<HandedOut>(3, Key())));
  EXPECT_OK(sender.Take(receiver_, std::vector{Key()}));
  EXPECT_EQ(keys_, told);
  Tell(sender, bytes_ / 2);
  EXPECT_EQ(unwritten_, 4U) << "without waiting for somebody who asks";
  EXPECT_OK(sender.Take(receiver_, std::vector{Key()}));
  EXPECT_EQ(keys_, told + 1);
  EXPECT_EQ(unwritten_, 4U);
}

}  // namespace
}  // namespace assay
