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
using testing::IsEmpty;

std::string Payload(std::string_view host, int port = 80, std::string_view agent = "default") {
  return fmt::format(R"({{"hostname":"{}","agentname":"{}","port":{}}})", host, agent, port);
}

class HttpChallengeVerifierTest : public testing::Test {
 protected:
  std::unique_ptr<NodeVerifier> Make() {
    return MakeHttpChallengeVerifier(options_,
                                     [this](const std::string& url, const std::atomic<bool>&) {
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

// What is found there instead is not for the caller, who could look around by it.
TEST_F(HttpChallengeVerifierTest, RefusesAnotherTextAndNoneInTheSameWords) {
  const auto verification = Make()->Start();
  ASSERT_OK(verification->Begin(Payload("node1"), absl::FromUnixSeconds(0)));
  const std::string words =
      "challenge verification failed: the nonce was not found at the host's name";
  answer_ = "other";
  EXPECT_THAT(verification->Answer("\n"), StatusIs(StatusCode::kPermissionDenied, words));
  answer_ = Unavailable("connection refused");
  EXPECT_THAT(verification->Answer("\n"), StatusIs(StatusCode::kPermissionDenied, words));
}

TEST_F(HttpChallengeVerifierTest, AsksNobodyOnceItIsCancelled) {
  const auto verification = Make()->Start();
  EXPECT_EQ(verification->Begin(Payload("node1"), absl::FromUnixSeconds(0))->asks, "node1:80");
  verification->Cancel();
  EXPECT_THAT(verification->Answer("\n"), StatusIs(StatusCode::kCancelled, HasSubstr("nobody")));
  EXPECT_THAT(urls_, IsEmpty());
}

// Nobody is left whose attestation failed.
TEST_F(HttpChallengeVerifierTest, AFetchThatIsCancelledIsNoFailureToLog) {
  const auto verification = Make()->Start();
  ASSERT_OK(verification->Begin(Payload("node1"), absl::FromUnixSeconds(0)));
  answer_ = absl::CancelledError("fetching");
  testing::internal::CaptureStdout();
  EXPECT_THAT(verification->Answer("\n"), StatusIs(StatusCode::kCancelled, "fetching"));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

// Trust on first use is of a host, however its name is written.
TEST_F(HttpChallengeVerifierTest, AHostHasOneName) {
  options_.allowed_dns_patterns = {"^node1\\.example\\.org$"};
  EXPECT_EQ(Begin(Payload("Node1.EXAMPLE.org"))->asks, "node1.example.org:80");
  for (std::string_view other : {"node1.example.org.", "node1..example.org"}) {
    EXPECT_THAT(Begin(Payload(other)),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("hostname")));
  }
}

TEST_F(HttpChallengeVerifierTest, TakesAnIpv4AddressInItsUsualFormAlone) {
  EXPECT_OK(Begin(Payload("10.0.0.1")));
  EXPECT_OK(Begin(Payload("cafe")));
  EXPECT_OK(Begin(Payload("1.2.3.a1")));
  for (std::string_view number : {"2130706433", "127.1", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1",
                                  "127.0.0.0x1", "127.0.0.01", "1.2.3.4.5", "a.1", "1.2.3.256"}) {
    EXPECT_THAT(Begin(Payload(number)),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("hostname is not valid")))
        << number;
  }
}

TEST_F(HttpChallengeVerifierTest, RefusesHostsThatAreNoNamesOrNotAllowed) {
  for (std::string_view bad : {"", "a/b", "a:1", "user@a", "a b", "a?b", "a#b", "[::1]", "a%2f"}) {
    EXPECT_THAT(Begin(Payload(bad)), StatusIs(StatusCode::kInvalidArgument, HasSubstr("hostname")))
        << bad;
  }
  for (std::string_view local : {"localhost", "LocalHost"}) {
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
