// SPDX-License-Identifier: GPL-3.0-or-later
// What requests are understood to ask for, and what is too much.
#include "workload-api/sds_subscription.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "envoy/config/core/v3/base.pb.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using envoy::config::core::v3::Node;
using testing::ElementsAre;
using testing::IsEmpty;

SdsSubscription::Names Names(const std::vector<std::string>& names) {
  return {names.begin(), names.end()};
}

Node Envoy(uint32_t major, uint32_t minor) {
  Node node;
  auto& version = *node.mutable_user_agent_build_version()->mutable_version();
  version.set_major_number(major);
  version.set_minor_number(minor);
  return node;
}

Node WithText(const std::string& value) {
  Node node;
  (*node.mutable_metadata()->mutable_fields())["disable_spiffe_cert_validation"].set_string_value(
      value);
  return node;
}

TEST(SdsValidationTest, FollowsEnvoysVersion) {
  EXPECT_EQ(ValidationFor(Envoy(1, 17), false), SdsValidation::kPlain);
  EXPECT_EQ(ValidationFor(Envoy(1, 18), false), SdsValidation::kSpiffe);
  EXPECT_EQ(ValidationFor(Envoy(0, 30), false), SdsValidation::kPlain);
  EXPECT_EQ(ValidationFor(Envoy(2, 0), false), SdsValidation::kSpiffe);
  EXPECT_EQ(ValidationFor(Node(), false), SdsValidation::kSpiffe) << "one that does not say";
}

TEST(SdsValidationTest, FollowsConfigurationUnlessTheNodeSaysOtherwise) {
  EXPECT_EQ(ValidationFor(Envoy(1, 40), true), SdsValidation::kPlain);
  EXPECT_EQ(ValidationFor(WithText("false"), true), SdsValidation::kSpiffe);
  EXPECT_EQ(ValidationFor(WithText("1"), false), SdsValidation::kPlain);
  EXPECT_EQ(ValidationFor(WithText("T"), false), SdsValidation::kPlain);
  EXPECT_EQ(ValidationFor(WithText("yes"), false), SdsValidation::kSpiffe) << "not a boolean";
  EXPECT_EQ(ValidationFor(WithText(""), true), SdsValidation::kPlain) << "not a boolean";
  Node node = Envoy(1, 17);
  auto& value = (*node.mutable_metadata()->mutable_fields())["disable_spiffe_cert_validation"];
  value.set_bool_value(false);
  EXPECT_EQ(ValidationFor(node, true), SdsValidation::kPlain) << "an Envoy that has no validator";
  node = Envoy(1, 40);
  (*node.mutable_metadata()->mutable_fields())["disable_spiffe_cert_validation"].set_bool_value(
      true);
  EXPECT_EQ(ValidationFor(node, false), SdsValidation::kPlain);
}

TEST(SdsSubscriptionTest, ARequestReplacesTheOneBefore) {
  SdsSubscription subscription;
  ASSERT_OK(subscription.Replace(Names({"b", "a", "b", ""})));
  EXPECT_THAT(subscription.names(), ElementsAre("a", "b"));
  EXPECT_FALSE(subscription.everything());
  ASSERT_OK(subscription.Replace(Names({"c"})));
  EXPECT_THAT(subscription.names(), ElementsAre("c"));
}

TEST(SdsSubscriptionTest, NoNameIsEverythingUntilSomethingIsNamed) {
  SdsSubscription subscription;
  ASSERT_OK(subscription.Replace(Names({})));
  EXPECT_TRUE(subscription.everything());
  ASSERT_OK(subscription.Replace(Names({"a"})));
  EXPECT_FALSE(subscription.everything());
  ASSERT_OK(subscription.Replace(Names({})));
  EXPECT_FALSE(subscription.everything()) << "it has unsubscribed";
  EXPECT_THAT(subscription.names(), IsEmpty());
  ASSERT_OK(subscription.Replace(Names({"*", "a"})));
  EXPECT_TRUE(subscription.everything());
  EXPECT_THAT(subscription.names(), ElementsAre("a"));
}

TEST(SdsSubscriptionTest, ADeltaChangesIt) {
  SdsSubscription subscription;
  ASSERT_OK(subscription.Change(Names({"a", "b"}), Names({})));
  ASSERT_OK(subscription.Change(Names({"c"}), Names({"a", "unknown"})));
  EXPECT_THAT(subscription.names(), ElementsAre("b", "c"));
  EXPECT_FALSE(subscription.everything());
  EXPECT_TRUE(subscription.Covers("b"));
  EXPECT_FALSE(subscription.Covers("a"));
}

TEST(SdsSubscriptionTest, AnEmptyFirstDeltaIsEverything) {
  SdsSubscription subscription;
  ASSERT_OK(subscription.Change(Names({}), Names({})));
  EXPECT_TRUE(subscription.everything());
  EXPECT_TRUE(subscription.Covers("a"));
  ASSERT_OK(subscription.Change(Names({}), Names({"*"})));
  EXPECT_FALSE(subscription.everything());
  ASSERT_OK(subscription.Change(Names({}), Names({})));
  EXPECT_FALSE(subscription.everything()) << "an acknowledgement";
}

TEST(SdsSubscriptionTest, SaysWhetherARequestAsksForSomethingElse) {
  SdsSubscription whole;
  EXPECT_TRUE(*whole.Replace(Names({})));
  EXPECT_FALSE(*whole.Replace(Names({})));
  EXPECT_TRUE(*whole.Replace(Names({"a", "b"})));
  const std::string* const kept = &*whole.names().begin();
  EXPECT_FALSE(*whole.Replace(Names({"b", "a", "b"})));
  EXPECT_EQ(&*whole.names().begin(), kept) << "who refers to it goes on doing so";
  EXPECT_TRUE(*whole.Replace(Names({"b", "c"})));
  EXPECT_TRUE(*whole.Replace(Names({})));
  SdsSubscription delta;
  EXPECT_TRUE(*delta.Change(Names({"a"}), Names({})));
  EXPECT_FALSE(*delta.Change(Names({}), Names({})));
  EXPECT_FALSE(*delta.Change(Names({}), Names({"b", "*"})));
  EXPECT_TRUE(*delta.Change(Names({"a"}), Names({}))) << "asked for again";
  EXPECT_TRUE(*delta.Change(Names({}), Names({"a"})));
}

TEST(SdsSubscriptionTest, CountsWhatItKeeps) {
  SdsSubscription subscription;
  EXPECT_EQ(subscription.kept_bytes(), 0U);
  ASSERT_OK(subscription.Change(Names({"abc", "abc", "d"}), Names({})));
  EXPECT_EQ(subscription.kept_bytes(), SdsSubscription::KeptBytes(2, 4));
  ASSERT_OK(subscription.Change(Names({"abc"}), Names({"d", "d"})));
  EXPECT_EQ(subscription.kept_bytes(), SdsSubscription::KeptBytes(1, 3));
  ASSERT_OK(subscription.Replace(Names({"ef"})));
  ASSERT_OK(subscription.Replace(Names({"ef"})));
  EXPECT_EQ(subscription.kept_bytes(), SdsSubscription::KeptBytes(1, 2));
}

TEST(SdsSubscriptionTest, IsBounded) {
  std::vector<std::string> names;
  for (size_t i = 0; i < SdsSubscription::kMaxNames; ++i) {
    names.push_back(fmt::format("{}", i));
  }
  SdsSubscription subscription;
  EXPECT_OK(subscription.Change(Names(names), Names({})));
  EXPECT_OK(subscription.Change(Names({"more"}), Names({"0"})));
  EXPECT_EQ(subscription.names().size(), SdsSubscription::kMaxNames);
  EXPECT_THAT(subscription.Change(Names({"0"}), Names({})),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
  const std::vector<std::string> same(SdsSubscription::kMaxNames + 1, "same");
  EXPECT_THAT(SdsSubscription().Change(Names(same), Names({})),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
  names.push_back("one");
  EXPECT_THAT(subscription.Replace(Names(names)),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
  const std::string half(SdsSubscription::kMaxNameBytes / 2, 'a');
  EXPECT_OK(subscription.Replace(Names({half})));
  EXPECT_THAT(subscription.Replace(Names({half, half + "b"})),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
}

TEST(SdsSubscriptionTest, ThereIsOneType) {
  EXPECT_OK(SdsSubscription::CheckType(""));
  EXPECT_OK(SdsSubscription::CheckType(
      "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"));
  EXPECT_THAT(SdsSubscription::CheckType("type.googleapis.com/envoy.api.v2.auth.Secret"),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
}

}  // namespace
}  // namespace assay
