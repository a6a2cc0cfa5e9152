// SPDX-License-Identifier: GPL-3.0-or-later
#include "spiffe/spiffe_id.h"

#include <gtest/gtest.h>

#include <cctype>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

TEST(SpiffeIdTest, TakesAnIdApartAndPutsItTogether) {
  const auto id = SpiffeId::Parse("spiffe://a.test/Ns_1/sa-x.y");
  ASSERT_OK(id);
  EXPECT_EQ(id->trust_domain().name(), "a.test");
  EXPECT_EQ(id->path(), "/Ns_1/sa-x.y");
  EXPECT_EQ(id->ToString(), "spiffe://a.test/Ns_1/sa-x.y");
  EXPECT_EQ(SpiffeId::Create(id->trust_domain(), "/Ns_1/sa-x.y").value(), *id);
}

// ID-14
TEST(SpiffeIdTest, WithoutAPathNamesTheTrustDomain) {
  const auto id = SpiffeId::Parse("spiffe://a.test");
  ASSERT_OK(id);
  EXPECT_TRUE(id->is_trust_domain());
  EXPECT_FALSE(SpiffeId::Parse("spiffe://a.test/w")->is_trust_domain());
}

TEST(SpiffeIdTest, RefusesWhatIsNotInTheOneValidForm) {
  const char* kBad[] = {
      // ID-01
      "http://a.test/w", "spiffe:/a.test/w", "spiffe:a.test/w", "//a.test/w", " spiffe://a.test/w",
      "", "spiffe", "SPIFFE://a.test/w", "Spiffe://a.test/w",
      // ID-02
      "spiffe://", "spiffe:///w",
      // ID-03, ID-04
      "spiffe://a.test/w?x=1", "spiffe://a.test/w?", "spiffe://a.test?x", "spiffe://a.test/w#f",
      "spiffe://a.test/w#", "spiffe://a.test#",
      // ID-05, ID-06
      "spiffe://u@a.test/w", "spiffe://u:p@a.test/w", "spiffe://@a.test/w", "spiffe://a.test:80/w",
      "spiffe://a.test:/w",
      // ID-08, ID-09
      "spiffe://A.test/w", "spiffe://a%2etest/w", "spiffe://%61.test/w",
      // ID-16
      "spiffe://a.test/%41", "spiffe://a.test/a%2Fb", "spiffe://a.test/%2e%2e",
      // ID-17, ID-19
      "spiffe://a.test//w", "spiffe://a.test/a//b", "spiffe://a.test/", "spiffe://a.test/w/",
      // ID-18
      "spiffe://a.test/.", "spiffe://a.test/..", "spiffe://a.test/./w", "spiffe://a.test/w/..",
      "spiffe://a.test/w/.",
      // ID-15
      "spiffe://a.test/a b", "spiffe://a.test/a\\b", "spiffe://a.test/\xc3\xa9"};
  for (const char* id : kBad) {
    EXPECT_THAT(SpiffeId::Parse(id), StatusIs(StatusCode::kInvalidArgument, HasSubstr("spiffe id")))
        << id;
  }
}

// ID-15
TEST(SpiffeIdTest, AcceptsExactlyThePathBytesOfTheStandard) {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool allowed = (byte < 128 && std::isalnum(byte)) || c == '.' || c == '-' || c == '_';
    const std::string id = std::string("spiffe://a.test/x") + c + "y";
    EXPECT_EQ(SpiffeId::Parse(id).ok(), allowed || c == '/') << byte;
  }
}

// ID-18
TEST(SpiffeIdTest, RefusesNoSegmentThatOnlyContainsDots) {
  for (const char* path : {"/...", "/.x", "/x.", "/..a", "/a/.../b"}) {
    EXPECT_OK(SpiffeId::Parse(std::string("spiffe://a.test") + path)) << path;
  }
}

// ID-12, ID-13, ID-11
TEST(SpiffeIdTest, IsAtMost2048BytesLong) {
  const std::string start = "spiffe://a.test/";
  const std::string longest = start + std::string(2048 - start.size(), 'a');
  ASSERT_OK(SpiffeId::Parse(longest));
  EXPECT_EQ(SpiffeId::Parse(longest)->ToString(), longest);
  EXPECT_FALSE(SpiffeId::Parse(longest + "a").ok());
  const auto domain = TrustDomain::Parse("a.test").value();
  EXPECT_FALSE(SpiffeId::Create(domain, longest.substr(start.size() - 1) + "a").ok());
  EXPECT_FALSE(SpiffeId::Parse("spiffe://" + std::string(256, 'a') + "/w").ok());
}

// ID-20
TEST(SpiffeIdTest, ComparesPathsByTheirBytes) {
  EXPECT_NE(SpiffeId::Parse("spiffe://a.test/W").value(),
            SpiffeId::Parse("spiffe://a.test/w").value());
}

TEST(SpiffeIdTest, CreateWantsASlashBeforeThePath) {
  const auto domain = TrustDomain::Parse("a.test").value();
  EXPECT_OK(SpiffeId::Create(domain, ""));
  EXPECT_FALSE(SpiffeId::Create(domain, "w").ok());
  EXPECT_FALSE(SpiffeId::Create(domain, "/").ok());
}

TEST(SpiffeIdTest, KnowsAnAgentByItsPath) {
  EXPECT_TRUE(SpiffeId::Parse("spiffe://a.test/spire/agent/x509pop/1")->is_agent());
  EXPECT_FALSE(SpiffeId::Parse("spiffe://a.test/spire/agents/1")->is_agent());
  EXPECT_FALSE(SpiffeId::Parse("spiffe://a.test/spire/agent")->is_agent());
}

}  // namespace
}  // namespace assay
