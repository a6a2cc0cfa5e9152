// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/join_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

TEST(JoinTokenTest, ShowsTheTokenItself) {
  JoinTokenAttestor attestor(Secret("a-token"));
  EXPECT_EQ(attestor.type(), "join_token");
  const auto attestation = attestor.Begin().value();
  EXPECT_EQ(attestation->Payload()->Reveal(), "a-token");
}

TEST(JoinTokenTest, HasNoAnswerToAChallenge) {
  JoinTokenAttestor attestor(Secret("a-token"));
  EXPECT_THAT(attestor.Begin().value()->Answer("prove it"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("challenge")));
}

TEST(JoinTokenTest, SaysThatThereIsNoToken) {
  JoinTokenAttestor attestor{Secret()};
  EXPECT_THAT(attestor.Begin(), StatusIs(StatusCode::kFailedPrecondition, HasSubstr("join_token")));
}

}  // namespace
}  // namespace assay
