// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/http_challenge_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/json_object.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

std::string Payload(std::string_view host, int port = 80, std::string_view agent = "default") {
  return fmt::format(R"({{"hostname":"{}","agentname":"{}","port":{}}})", host, agent, port);
}

class HttpChallengeVerifierTest : public testing::Test {
 protected:
  std::unique_ptr<NodeVerifier> Make() {
    return MakeHttpChallengeVerifier(options_,
                                     [this](const std::string& url) {
                                       urls_.push_back(url);
                                       return answer_;
                                     })
        .value();
  }
  absl::StatusOr<NodeVerification::Verdict> Begin(std::string_view payload) {
    return Make()->Start()->Begin(payload, absl::FromUnixSeconds(0));
  }

  NodeVerifierOptions::HttpChallenge options_;
  absl::StatusOr<std::string> answer_ = std::string();
  std::vector<std::string> urls_;
};

TEST_F(HttpChallengeVerifierTest, ProvesANodeByTheNonceAtItsName) {
  for (bool tofu : {true, false}) {
    options_ = {.required_port = 80, .tofu = tofu};
    urls_.clear();
    const auto verification = Make()->Start();
    const auto begun = verification->Begin(Payload("node1.example.org"), absl::FromUnixSeconds(0));
    ASSERT_OK(begun);
    const std::string nonce =
        crypto::JsonObject::Parse(*begun->challenge, 256)->Text("nonce").value();
    EXPECT_EQ(nonce.size(), 44u);
    answer_ = nonce + "\n";
    const auto verdict = verification->Answer("\n");
    ASSERT_OK(verdict);
    EXPECT_THAT(urls_, ElementsAre("http://node1.example.org:80/.well-known/spiffe/nodeattestor/"
                                   "http_challenge/default/challenge"));
    EXPECT_EQ(verdict->node->agent_path, "/spire/agent/http_challenge/node1.example.org");
    EXPECT_THAT(verdict->node->selectors,
                ElementsAre(Selector{"http_challenge", "hostname:node1.example.org"}));
    EXPECT_EQ(verdict->node->can_reattest, !tofu);
    EXPECT_EQ(verdict->node->only_once, tofu);
  }
}

TEST_F(HttpChallengeVerifierTest, RefusesAnotherTextAndNone) {
  const auto verification = Make()->Start();
  ASSERT_OK(verification->Begin(Payload("node1"), absl::FromUnixSeconds(0)));
  answer_ = "other";
  EXPECT_THAT(verification->Answer("\n"),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("expected nonce was not found")));
  answer_ = Unavailable("connection refused");
  EXPECT_THAT(verification->Answer("\n"),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("connection refused")));
}

TEST_F(HttpChallengeVerifierTest, RefusesHostsThatAreNoNamesOrNotAllowed) {
  for (std::string_view bad : {"", "a/b", "a:1", "user@a", "a b", "a?b", "a#b", "[::1]", "a%2f"}) {
    EXPECT_THAT(Begin(Payload(bad)), StatusIs(StatusCode::kInvalidArgument, HasSubstr("hostname")))
        << bad;
  }
  for (std::string_view local : {"localhost", "LocalHost", "localhost."}) {
    EXPECT_THAT(Begin(Payload(local)),
                StatusIs(StatusCode::kPermissionDenied, HasSubstr("localhost")));
  }
  options_.allowed_dns_patterns = {"^p[0-9]+\\.example\\.org$", "^x$"};
  EXPECT_OK(Begin(Payload("p12.example.org")));
  for (std::string_view other : {"p12.example.org.evil", "xp1.example.org", "xx"}) {
    EXPECT_THAT(Begin(Payload(other)),
                StatusIs(StatusCode::kPermissionDenied, HasSubstr("not allowed to connect")));
  }
}

TEST_F(HttpChallengeVerifierTest, RefusesPortsAndAgentNames) {
  for (int port : {0, -1, 65536}) {
    EXPECT_THAT(Begin(Payload("a", port)),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("port is invalid")));
  }
  for (std::string_view name : {"", "1a", "a.b", "a/b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
    EXPECT_THAT(Begin(Payload("a", 80, name)),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("agent name")));
  }
  options_.allow_non_root_ports = false;
  EXPECT_OK(Begin(Payload("a", 1023)));
  EXPECT_THAT(Begin(Payload("a", 1024)),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("not allowed to be >= 1024")));
  options_.required_port = 80;
  EXPECT_THAT(Begin(Payload("a", 81)),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("port 81 is not allowed")));
}

TEST_F(HttpChallengeVerifierTest, RefusesMalformedPayloadsAndPatterns) {
  for (std::string_view bad : {"", "{}", R"({"hostname":"a","agentname":"b"})"}) {
    EXPECT_THAT(Begin(bad), StatusIs(StatusCode::kInvalidArgument, HasSubstr("unmarshal")));
  }
  EXPECT_OK(CheckDnsPattern("^a$"));
  EXPECT_THAT(CheckDnsPattern("("), StatusIs(StatusCode::kInvalidArgument, HasSubstr("\"(\"")));
}

}  // namespace
}  // namespace assay
