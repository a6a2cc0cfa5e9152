// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/sds_request_check.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "envoy/service/discovery/v3/discovery.pb.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

namespace discovery = envoy::service::discovery::v3;

using absl::StatusCode;

// A field with a length, of a number below 16.
std::string Field(int number, const std::string& content) {
  std::string field(1, static_cast<char>(number << 3 | 2));
  size_t size = content.size();
  for (; size >= 0x80; size >>= 7) {
    field += static_cast<char>(size | 0x80);
  }
  return field + static_cast<char>(size) + content;
}

std::string Repeated(const std::string& field, size_t times) {
  std::string fields;
  for (size_t i = 0; i < times; ++i) {
    fields += field;
  }
  return fields;
}

StatusCode CodeOf(const std::string& bytes, const SdsRequestForm& form = kWholeForm) {
  return CheckSdsRequest(bytes, form).code();
}

TEST(SdsRequestCheckTest, TakesWhatProxiesSend) {
  EXPECT_OK(CheckSdsRequest("", kWholeForm));
  discovery::DiscoveryRequest whole;
  for (int i = 0; i < 1024; ++i) {
    whole.add_resource_names("spiffe://example.org/" + std::to_string(i));
  }
  (*whole.mutable_node()->mutable_metadata()->mutable_fields())["a"].set_number_value(1);
  whole.mutable_error_detail()->set_message(std::string(100000, 'x'));
  const std::string extensions = Repeated(Field(9, std::string(130, 'x')), 516);
  EXPECT_OK(CheckSdsRequest(whole.SerializeAsString() + Field(2, extensions), kWholeForm));
  discovery::DeltaDiscoveryRequest delta;
  delta.add_resource_names_subscribe("a");
  delta.mutable_node();
  EXPECT_OK(CheckSdsRequest(delta.SerializeAsString() + Field(1, extensions), kDeltaForm));
}

TEST(SdsRequestCheckTest, RefusesMoreFieldsThanAreWorthParsing) {
  for (const int name : {3, 15}) {
    EXPECT_EQ(CodeOf(Repeated(Field(name, ""), kMaxSdsFields)), StatusCode::kOk);
    EXPECT_EQ(CodeOf(Repeated(Field(name, ""), kMaxSdsFields + 1)), StatusCode::kInvalidArgument);
  }
  for (const SdsRequestForm& form : {kWholeForm, kDeltaForm}) {
    for (const int message : {form.node, form.error_detail}) {
      const std::string half = Field(message, Repeated(Field(9, ""), kMaxSdsFields / 2 + 1));
      EXPECT_EQ(CodeOf(half, form), StatusCode::kOk);
      EXPECT_EQ(CodeOf(half + half, form), StatusCode::kInvalidArgument) << "they are merged";
    }
  }
}

TEST(SdsRequestCheckTest, RefusesFieldsThatAreHiddenInOne) {
  const std::string many = Repeated(Field(15, ""), kMaxSdsFields + 1);
  for (const std::string& group : {"\x7b" + many + "\x7c", "\x4b" + many + "\x4c"}) {
    for (const SdsRequestForm& form : {kWholeForm, kDeltaForm}) {
      EXPECT_EQ(CodeOf(group, form), StatusCode::kInvalidArgument);
      EXPECT_EQ(CodeOf(Field(form.node, group), form), StatusCode::kInvalidArgument);
      EXPECT_EQ(CodeOf(Field(form.error_detail, group), form), StatusCode::kInvalidArgument);
      EXPECT_EQ(CodeOf(Field(form.error_detail, Field(3, many)), form),
                StatusCode::kInvalidArgument);
    }
  }
}

TEST(SdsRequestCheckTest, RefusesANodeOfManyWords) {
  const auto node = [](size_t bytes) { return Field(2, Field(3, std::string(bytes, 'x'))); };
  EXPECT_EQ(CodeOf(node(kMaxSdsNodeBytes - 4)), StatusCode::kOk);
  EXPECT_EQ(CodeOf(node(kMaxSdsNodeBytes)), StatusCode::kInvalidArgument);
}

TEST(SdsRequestCheckTest, RefusesWhatIsNoMessage) {
  for (const std::string& bytes : std::vector<std::string>{
           std::string("\xff"), std::string("\x1a\x05") + "ab",
           std::string("\x1a\xff\xff\xff\xff\x0f"), std::string(1, '\0'), std::string("\x09\x01"),
           Field(2, "\x1a\x05"), Field(6, "\x1a\x05")}) {
    EXPECT_EQ(CodeOf(bytes), StatusCode::kInternal) << bytes;
  }
}

}  // namespace
}  // namespace assay
