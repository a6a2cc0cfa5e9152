// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/shares.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/status_matchers.h"

namespace assay::rpc {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

Shares::Owner User(int number) {
  return {.name = fmt::format("user {}", number),
          .max_connections = 12000,
          .max_request_bytes = 800,
          .privileged = number == 0};
}

class SharesTest : public testing::Test {
 protected:
  // How many connections the owner gets, of those it asks for.
  size_t Take(const Shares::Owner& owner, size_t wanted) {
    size_t got = 0;
    while (got < wanted && shares_.Join(owner).ok()) {
      ++got;
    }
    return got;
  }

  Shares shares_{{.connections = 20000,
                  .request_bytes = 1000,
                  .answer_bytes = 1000,
                  .answer_bytes_of_one = 700}};
};

TEST_F(SharesTest, AreLargeForOneUserAndLeaveHalfToOthers) {
  EXPECT_EQ(Take(User(1), 20000), 10000u);
  EXPECT_GT(Take(User(2), 20000), 1000u);
  EXPECT_GT(Take(User(3), 20000), 1000u);
}

TEST(FewSharesTest, LetOneUserHaveNineThousandOfTenThousand) {
  Shares shares({.connections = 9872});
  size_t got = 0;
  while (shares.Join(User(1)).ok()) {
    ++got;
  }
  EXPECT_GE(got, 9000u);
  for (int user = 2; user < 20; ++user) {
    for (int i = 0; i < 4; ++i) {
      EXPECT_OK(shares.Join(User(user)));
    }
  }
}

TEST_F(SharesTest, KeepTheLastConnectionsForRoot) {
  for (int user = 1; user <= 1000; ++user) {
    Take(User(user), 20000);
  }
  EXPECT_THAT(shares_.Join(User(1001)),
              StatusIs(StatusCode::kResourceExhausted, HasSubstr("user 1001 has 0 of the 19375")));
  EXPECT_EQ(Take(User(0), 20000), 625u);
  EXPECT_THAT(shares_.Join(User(0)),
              StatusIs(StatusCode::kResourceExhausted, HasSubstr("20000 connections are open")));
}

TEST_F(SharesTest, EndWithTheLastConnection) {
  const Shares::Owner one{.name = "address 10.0.0.1", .max_connections = 1};
  for (int i = 0; i < 3; ++i) {
    const auto share = shares_.Join(one);
    ASSERT_OK(share);
    EXPECT_THAT(shares_.Join(one), StatusIs(StatusCode::kResourceExhausted,
                                            HasSubstr("address 10.0.0.1 has 1 of the 1")));
    shares_.Leave(**share);
  }
}

TEST_F(SharesTest, HaveBoundsOfTheirOwnAndOneTogether) {
  Shares::Share& first = **shares_.Join(User(1));
  Shares::Share& second = **shares_.Join(User(2));
  EXPECT_FALSE(shares_.HoldRequest(first, 801));
  EXPECT_TRUE(shares_.HoldRequest(first, 800));
  EXPECT_FALSE(shares_.HoldRequest(second, 201));
  shares_.ReleaseRequest(first, 100);
  EXPECT_TRUE(shares_.HoldRequest(second, 300));

  EXPECT_TRUE(shares_.HoldAnswer(first, 700));
  EXPECT_TRUE(shares_.HoldAnswer(second, 300));
  EXPECT_FALSE(shares_.HoldAnswer(second, 1));
  shares_.ReleaseAnswer(first, 700);
  EXPECT_TRUE(shares_.HoldAnswer(second, 300));
  EXPECT_FALSE(shares_.HoldAnswer(first, 701));
  EXPECT_TRUE(shares_.HoldAnswer(first, 400)) << "what was refused is not counted";
}

}  // namespace
}  // namespace assay::rpc
