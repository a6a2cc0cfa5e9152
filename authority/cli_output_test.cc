// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/cli_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spire/api/types/agent.pb.h"
#include "spire/api/types/entry.pb.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

namespace types = spire::api::types;

types::Entry WebEntry() {
  types::Entry entry;
  entry.set_id("e1");
  entry.mutable_spiffe_id()->set_trust_domain("example.org");
  entry.mutable_spiffe_id()->set_path("/web");
  entry.mutable_parent_id()->set_trust_domain("example.org");
  entry.mutable_parent_id()->set_path("/node");
  auto& selector = *entry.add_selectors();
  selector.set_type("unix");
  selector.set_value("uid:0");
  return entry;
}

TEST(CliOutputTest, JsonHasEveryFieldSortedAndLargeNumbersAsText) {
  EXPECT_EQ(ToJsonLine(WebEntry()),
            R"({"admin":false,"created_at":"0","dns_names":[],"downstream":false,)"
            R"("expires_at":"0","federates_with":[],"hint":"","id":"e1","jwt_svid_ttl":0,)"
            R"("parent_id":{"path":"/node","trust_domain":"example.org"},"revision_number":"0",)"
            R"("selectors":[{"type":"unix","value":"uid:0"}],)"
            R"("spiffe_id":{"path":"/web","trust_domain":"example.org"},"store_svid":false,)"
            R"("x509_svid_ttl":0})"
            "\n");
}

TEST(CliOutputTest, JsonEscapesWhatHtmlWouldRead) {
  types::Selector selector;
  selector.set_type("a");
  selector.set_value("<b>&\"");
  EXPECT_EQ(ToJsonLine(selector), "{\"type\":\"a\",\"value\":\"\\u003cb\\u003e\\u0026\\\"\"}\n");
}

TEST(CliOutputTest, AnEntryIsALineForEachFieldThatSaysSomething) {
  types::Entry entry = WebEntry();
  EXPECT_EQ(EntryText(entry),
            "Entry ID                : e1\n"
            "SPIFFE ID               : spiffe://example.org/web\n"
            "Parent ID               : spiffe://example.org/node\n"
            "Revision                : 0\n"
            "X509-SVID TTL           : default\n"
            "JWT-SVID TTL            : default\n"
            "Selector                : unix:uid:0\n"
            "\n");
  entry.clear_id();
  entry.clear_selectors();
  entry.set_downstream(true);
  entry.set_x509_svid_ttl(60);
  entry.set_jwt_svid_ttl(61);
  entry.set_expires_at(4102444800);
  entry.add_federates_with("other.test");
  entry.add_dns_names("a.test");
  entry.set_admin(true);
  entry.set_store_svid(true);
  entry.set_hint("h");
  entry.mutable_additional_attributes()->set_disable_x509_svid_prefetch(true);
  entry.mutable_additional_attributes()->set_jwt_svid_include_jti(true);
  EXPECT_EQ(EntryText(entry),
            "Entry ID                : (none)\n"
            "SPIFFE ID               : spiffe://example.org/web\n"
            "Parent ID               : spiffe://example.org/node\n"
            "Revision                : 0\n"
            "Downstream              : true\n"
            "X509-SVID TTL           : 60\n"
            "JWT-SVID TTL            : 61\n"
            "Expiration time         : 2100-01-01 00:00:00 +0000 UTC\n"
            "FederatesWith           : other.test\n"
            "DNS name                : a.test\n"
            "Admin                   : true\n"
            "StoreSvid               : true\n"
            "Hint                    : h\n"
            "DisableX509SvidPrefetch : true\n"
            "JwtSvidIncludeJti       : true\n"
            "\n");
}

TEST(CliOutputTest, AnAgentThatIsBannedHasNoSerialNumber) {
  types::Agent agent;
  agent.mutable_id()->set_trust_domain("example.org");
  agent.mutable_id()->set_path("/spire/agent/x");
  agent.set_attestation_type("join_token");
  agent.set_x509svid_serial_number("7");
  EXPECT_THAT(AgentText(agent), testing::HasSubstr("Serial number     : 7\n"));
  agent.set_banned(true);
  const std::string text = AgentText(agent);
  EXPECT_THAT(text, testing::HasSubstr("Banned            : true\n"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("Serial number")));
}

TEST(CliOutputTest, EscapesWhatWouldDriveATerminal) {
  types::Agent agent;
  agent.set_agent_version("1\nBanned: true\x1b[2J\xc2\x9b\xc3\xa9");
  EXPECT_THAT(AgentText(agent),
              testing::HasSubstr("Agent version     : 1\\x0aBanned: true\\x1b[2J\\x9b\xc3\xa9\n"));
}

TEST(CliOutputTest, QuotesAsGoDoes) {
  EXPECT_EQ(GoQuoted("a \"b\"\\\n\t\x01"), "\"a \\\"b\\\"\\\\\\n\\t\\x01\"");
}

TEST(CliOutputTest, CutsASelectorAtTheFirstColon) {
  const auto selector = ParseSelectorFlag("tpm_devid:issuer:cn:x");
  ASSERT_OK(selector);
  EXPECT_EQ(selector->type(), "tpm_devid");
  EXPECT_EQ(selector->value(), "issuer:cn:x");
  EXPECT_THAT(ParseSelectorFlag("unix"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "selector \"unix\" must be formatted as type:value"));
}

TEST(CliOutputTest, RefusesSecondsThatDoNotFitTheWire) {
  EXPECT_THAT(ToInt32(2147483648, "TTL"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "invalid value for TTL: overflow converting int(2147483648) to int32"));
  EXPECT_EQ(*ToInt32(-5, "TTL"), -5);
}

}  // namespace
}  // namespace assay
