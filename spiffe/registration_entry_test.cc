// SPDX-License-Identifier: GPL-3.0-or-later
#include "spiffe/registration_entry.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

SpiffeId Id(std::string_view text) { return SpiffeId::Parse(text).value(); }

RegistrationEntry Good() {
  return {.id = "0b2f-1.x_Y",
          .spiffe_id = Id("spiffe://a.test/web"),
          .parent_id = Id("spiffe://a.test/spire/agent/join_token/1"),
          .selectors = {{"unix", "uid:0"}},
          .federates_with = {},
          .dns_names = {"web.a.test", "*.a.test"},
          .hint = std::string(1024, 'h')};
}

TEST(RegistrationEntryTest, AnOrdinaryEntryIsValid) {
  EXPECT_OK(Validate(Good()));
  RegistrationEntry entry = Good();
  entry.parent_id.reset();
  EXPECT_OK(Validate(entry));
}

TEST(RegistrationEntryTest, EachRuleNamesItsField) {
  const std::pair<const char*, std::function<void(RegistrationEntry&)>> kBreaks[] = {
      {"id: is empty", [](auto& e) { e.id = ""; }},
      {"id: has 256 bytes", [](auto& e) { e.id = std::string(256, 'a'); }},
      {"id: \"a/b\"", [](auto& e) { e.id = "a/b"; }},
      {"spiffe_id: ", [](auto& e) { e.spiffe_id = Id("spiffe://a.test"); }},
      {"under /spire", [](auto& e) { e.spiffe_id = Id("spiffe://a.test/spire/server"); }},
      {"under /spire", [](auto& e) { e.spiffe_id = Id("spiffe://a.test/spire"); }},
      {"parent_id: ", [](auto& e) { e.parent_id = Id("spiffe://a.test"); }},
      {"parent_id: ", [](auto& e) { e.parent_id = Id("spiffe://b.test/x"); }},
      {"selectors: none", [](auto& e) { e.selectors.clear(); }},
      {"selectors: type",
       [](auto& e) {
         e.selectors = {{"", "x"}};
       }},
      {"selectors: type",
       [](auto& e) {
         e.selectors = {{"a:b", "x"}};
       }},
      {"selectors: type",
       [](auto& e) {
         e.selectors = {{"a", ""}};
       }},
      {"store_svid: needs",
       [](auto& e) {
         e.store_svid = true, e.selectors.push_back({"b", "c"});
       }},
      {"store_svid: excludes", [](auto& e) { e.store_svid = e.disable_x509_svid_prefetch = true; }},
      {"hint: has 1025", [](auto& e) { e.hint += "h"; }},
      {"dns_names: ", [](auto& e) { e.dns_names = {"a..b"}; }},
      {"x509_svid_ttl: ", [](auto& e) { e.x509_svid_ttl = -1; }},
      {"jwt_svid_ttl: ", [](auto& e) { e.jwt_svid_ttl = -1; }},
      {"revision_number: ", [](auto& e) { e.revision_number = -1; }}};
  for (const auto& [words, break_it] : kBreaks) {
    RegistrationEntry entry = Good();
    break_it(entry);
    EXPECT_THAT(Validate(entry), StatusIs(StatusCode::kInvalidArgument, HasSubstr(words)));
  }
}

TEST(RegistrationEntryTest, PathsThatOnlyBeginLikeTheReservedOneAreFree) {
  RegistrationEntry entry = Good();
  entry.spiffe_id = Id("spiffe://a.test/spires/x");
  EXPECT_OK(Validate(entry));
}

TEST(RegistrationEntryTest, DnsNamesAreHostNamesWithAtMostOneLeadingWildcard) {
  for (const std::string& good :
       {std::string("a"), std::string("web.A.test"), std::string("*.a.test"), std::string("1.2"),
        std::string("xn--bcher-kva.test"), std::string(63, 'a') + ".b"}) {
    EXPECT_OK(ValidateDnsName(good));
  }
  for (const std::string& bad :
       {std::string(), std::string("a."), std::string(".a"), std::string("*"), std::string("*."),
        std::string("a.*.b"), std::string("*.*.b"), std::string("a_b"), std::string("-a.b"),
        std::string("a-.b"), std::string("a b"), std::string("b\xc3\xbc.test"),
        std::string(64, 'a'), std::string("a/b")}) {
    EXPECT_THAT(ValidateDnsName(bad), StatusIs(StatusCode::kInvalidArgument, HasSubstr("dns name")))
        << bad;
  }
  std::string longest;
  while (longest.size() < 253) {
    longest += "a.";
  }
  longest.resize(253);
  EXPECT_OK(ValidateDnsName(longest));
  EXPECT_FALSE(ValidateDnsName("b." + longest).ok());
}

}  // namespace
}  // namespace assay
