// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/cli_entry_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "spire/api/types/entry.pb.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string OneEntry(std::string_view more) {
  return fmt::format(
      R"({{"entries": [{{"spiffe_id": "spiffe://example.org/web", "parent_id":
          "spiffe://example.org/node", "selectors": [{{"type": "unix", "value": "uid:0"}}]{}}}]}})",
      more);
}

TEST(EntryFileTest, ReadsEveryField) {
  const auto whole = ParseEntries(OneEntry(
      R"(, "entry_id": "e1", "x509_svid_ttl": 60, "jwt_svid_ttl": 30, "admin": true,
      "downstream": true, "entryExpiry": 4102444800, "dns_names": ["a.test", "b.test"],
      "federates_with": ["spiffe://other.test", "third.test"], "store_svid": true, "hint": "h",
      "additional_attributes": {"jwt_svid_include_jti": true}, "something_new": [1])"));
  ASSERT_OK(whole);
  ASSERT_EQ(whole->size(), 1);
  const auto& entry = whole->front();
  EXPECT_EQ(entry.id(), "e1");
  EXPECT_EQ(entry.spiffe_id().trust_domain(), "example.org");
  EXPECT_EQ(entry.spiffe_id().path(), "/web");
  EXPECT_EQ(entry.parent_id().path(), "/node");
  ASSERT_EQ(entry.selectors_size(), 1);
  EXPECT_EQ(entry.selectors(0).type(), "unix");
  EXPECT_EQ(entry.selectors(0).value(), "uid:0");
  EXPECT_EQ(entry.x509_svid_ttl(), 60);
  EXPECT_EQ(entry.jwt_svid_ttl(), 30);
  EXPECT_TRUE(entry.admin());
  EXPECT_TRUE(entry.downstream());
  EXPECT_EQ(entry.expires_at(), 4102444800);
  EXPECT_THAT(entry.dns_names(), ElementsAre("a.test", "b.test"));
  EXPECT_THAT(entry.federates_with(), ElementsAre("other.test", "third.test"));
  EXPECT_TRUE(entry.store_svid());
  EXPECT_EQ(entry.hint(), "h");
  EXPECT_TRUE(entry.additional_attributes().jwt_svid_include_jti());
  EXPECT_FALSE(entry.additional_attributes().disable_x509_svid_prefetch());
}

TEST(EntryFileTest, MatchesNamesWithoutCase) {
  const auto entries = ParseEntries(OneEntry(R"(, "Entry_ID": "e1", "ENTRYEXPIRY": 5)"));
  ASSERT_OK(entries);
  EXPECT_EQ(entries->front().id(), "e1");
  EXPECT_EQ(entries->front().expires_at(), 5);
  EXPECT_FALSE(entries->front().has_additional_attributes());
}

TEST(EntryFileTest, NothingInTheFileIsNoEntry) {
  const auto entries = ParseEntries("{}");
  ASSERT_OK(entries);
  EXPECT_THAT(*entries, IsEmpty());
}

TEST(EntryFileTest, NamesTheEntryAndTheMemberThatIsWrong) {
  const struct {
    std::string json;
    std::string_view message;
  } kBad[] = {
      {"", "not JSON"},
      {"{\"entries\": [{", "not JSON"},
      {"[]", "wanted a JSON object, found array"},
      {"{\"entries\": 3}", "entries: wanted a list, found number"},
      {"{\"entries\": [3]}", "entry 1: wanted an object, found number"},
      {"{\"entries\": [{}]}", "entry 1: invalid SPIFFE ID: cannot be empty"},
      {"{\"entries\": [{\"spiffe_id\": \"x\"}]}", "entry 1: invalid SPIFFE ID"},
      {"{\"entries\": [{\"spiffe_id\": \"spiffe://a/b\"}]}", "invalid parent ID"},
      {OneEntry(", \"x509_svid_ttl\": \"60\""), "x509_svid_ttl: wanted a whole number"},
      {OneEntry(", \"x509_svid_ttl\": 2147483648"), "overflow"},
      {OneEntry(", \"admin\": 1"), "admin: wanted true or false"},
      {OneEntry(", \"dns_names\": [1]"), "dns_names: wanted strings"},
      {OneEntry(", \"federates_with\": [\"A!\"]"), "invalid federated trust domain"},
      {OneEntry(", \"additional_attributes\": {\"jwt_svid_include_jti\": 1}"),
       "jwt_svid_include_jti: wanted true or false"},
  };
  for (const auto& [json, message] : kBad) {
    EXPECT_THAT(ParseEntries(json),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(std::string(message))))
        << json;
  }
}

TEST(EntryFileTest, SurvivesDeepNesting) {
  const std::string deep =
      "{\"entries\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  EXPECT_FALSE(ParseEntries(deep).ok());
}

TEST(EntryFileTest, ReadsIdsToDelete) {
  const auto ids = ParseEntryIds(R"({"ids": ["a", "b"]})");
  ASSERT_OK(ids);
  EXPECT_THAT(*ids, ElementsAre("a", "b"));
  EXPECT_FALSE(ParseEntryIds(R"({"ids": [1]})").ok());
}

TEST(EntryFileTest, ADashIsStandardInput) {
  std::istringstream in(std::string(200'000, 'x'));
  const auto text = ReadEntryFile("-", in);
  ASSERT_OK(text);
  EXPECT_EQ(text->size(), 200'000);
  EXPECT_THAT(ReadEntryFile("/nonexistent", in),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nonexistent")));
}

}  // namespace
}  // namespace assay
