// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/waiting_room.h"

#include <gmock/gmock.h>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::_;

constexpr WaitingRoom::Limits kLimits{
    .requests_of_one = 2, .bytes_of_one = 100, .requests = 3, .bytes = 150};

TEST(WaitingRoomTest, LimitsTheRequestsOfEachAndOfAll) {
  WaitingRoom room(kLimits);
  EXPECT_OK(room.Enter("a", 1));
  EXPECT_OK(room.Enter("a", 1));
  EXPECT_THAT(room.Enter("a", 1), StatusIs(StatusCode::kResourceExhausted, _));
  EXPECT_OK(room.Enter("b", 1));
  EXPECT_THAT(room.Enter("c", 1), StatusIs(StatusCode::kResourceExhausted, _));
}

TEST(WaitingRoomTest, LimitsTheBytesOfEachAndOfAll) {
  WaitingRoom room(kLimits);
  EXPECT_THAT(room.Enter("a", 101), StatusIs(StatusCode::kResourceExhausted, _));
  EXPECT_OK(room.Enter("a", 100));
  EXPECT_THAT(room.Enter("b", 51), StatusIs(StatusCode::kResourceExhausted, _));
  EXPECT_OK(room.Enter("b", 50));
}

TEST(WaitingRoomTest, HasRoomAgainWhenARequestLeaves) {
  WaitingRoom room(kLimits);
  ASSERT_OK(room.Enter("a", 100));
  room.Leave("a", 100);
  EXPECT_OK(room.Enter("a", 100));
}

}  // namespace
}  // namespace assay
