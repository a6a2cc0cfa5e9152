// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/k8s_psat_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "crypto/pem.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using absl::StatusCode;
using crypto::Base64UrlEncode;
using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::json;

constexpr std::string_view kIssuer = "https://kubernetes.default.svc.cluster.local";

// A cluster that projects tokens as Kubernetes 1.32 does, signed with RS256.
class FakeCluster {
 public:
  std::string Pem() const { return crypto::PemEncode("PUBLIC KEY", key_->public_key().spki()); }
  std::string JwkSet(std::string_view key_id) const {
    const crypto::PublicKey& key = key_->public_key();
    return Json{{"keys", Json::array({{{"kty", "RSA"},
                                       {"use", "sig"},
                                       {"alg", "RS256"},
                                       {"kid", key_id},
                                       {"n", Base64UrlEncode(key.rsa_modulus())},
                                       {"e", Base64UrlEncode(key.rsa_exponent())}}})}}
        .dump();
  }
  Json Claims(absl::Time now) const {
    const int64_t seconds = absl::ToUnixSeconds(now);
    return {{"aud", {"spire-server"}},
            {"exp", seconds + 7200},
            {"iat", seconds},
            {"nbf", seconds},
            {"iss", kIssuer},
            {"jti", "5a0c1f0e-6c69-4cdb-9f2c-4d1bfe4fdd01"},
            {"kubernetes.io",
             {{"namespace", "spire"},
              {"node", {{"name", "worker-1"}, {"uid", "1f4c7c1e-node"}}},
              {"pod", {{"name", "spire-agent-5d84p"}, {"uid", "56857f33-pod"}}},
              {"serviceaccount", {{"name", "spire-agent"}, {"uid", "ca29bd95-sa"}}}}},
            {"sub", "system:serviceaccount:spire:spire-agent"}};
  }
  std::string Token(const Json& claims, std::string_view key_id = "key-1") const {
    const std::string header = Json{{"alg", "RS256"}, {"kid", key_id}}.dump();
    const std::string text = Base64UrlEncode(header) + "." + Base64UrlEncode(claims.dump());
    return text + "." +
           Base64UrlEncode(crypto::Sign(*key_, key_->public_key().DefaultScheme(), text).value());
  }

 private:
  const std::unique_ptr<crypto::PrivateKey> key_ =
      crypto::PrivateKey::Generate(crypto::KeyType::kRsa2048).value();
};

class K8sPsatVerifierTest : public testing::Test {
 protected:
  K8sPsatVerifierTest() {
    Config().service_account_keys_path = folder_.path() + "/keys";
    Config().issuer = kIssuer;
    Config().service_account_allow_list = {"spire:spire-agent"};
    WriteKeys(cluster_.Pem());
  }
  NodeVerifierOptions::K8sPsat::Cluster& Config() { return options_.clusters["demo"]; }
  void WriteKeys(std::string_view text) {
    EXPECT_OK(WriteFileAtomically(folder_.path() + "/keys", text, 0600));
  }
  absl::StatusOr<NodeVerification::Verdict> Show(const Json& payload) const {
    auto verifier = MakeK8sPsatVerifier(options_);
    RETURN_IF_ERROR(verifier.status());
    return (*verifier)->Start()->Begin(payload.dump(), clock_.Now());
  }
  absl::StatusOr<NodeVerification::Verdict> ShowClaims(const Json& claims) const {
    return Show({{"cluster", "demo"}, {"token", cluster_.Token(claims)}});
  }
  Json Claims() const { return cluster_.Claims(clock_.Now()); }

  const TempFolder folder_;
  const FakeClock clock_;
  const FakeCluster cluster_;
  NodeVerifierOptions::K8sPsat options_;
};

TEST_F(K8sPsatVerifierTest, ProvesANodeByASignedToken) {
  const auto verdict = ShowClaims(Claims());
  ASSERT_OK(verdict);
  ASSERT_TRUE(verdict->node.has_value());
  EXPECT_EQ(verdict->node->agent_path, "/spire/agent/k8s_psat/demo/1f4c7c1e-node");
  EXPECT_TRUE(verdict->node->can_reattest);
  std::vector<std::string> selectors;
  for (const Selector& selector : verdict->node->selectors) {
    selectors.push_back(selector.ToString());
  }
  EXPECT_THAT(
      selectors,
      ElementsAre("k8s_psat:cluster:demo", "k8s_psat:agent_ns:spire",
                  "k8s_psat:agent_sa:spire-agent", "k8s_psat:agent_pod_name:spire-agent-5d84p",
                  "k8s_psat:agent_pod_uid:56857f33-pod", "k8s_psat:agent_node_name:worker-1",
                  "k8s_psat:agent_node_uid:1f4c7c1e-node"));
}

TEST_F(K8sPsatVerifierTest, NamesTheNodeByItsPodWhereThatIsWanted) {
  Json claims = Claims();
  claims["kubernetes.io"].erase("node");
  EXPECT_THAT(ShowClaims(claims),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("use_pod_uid_for_agent_id")));
  Config().use_pod_uid_for_agent_id = true;
  const auto verdict = ShowClaims(claims);
  ASSERT_OK(verdict);
  EXPECT_EQ(verdict->node->agent_path, "/spire/agent/k8s_psat/demo/pod/56857f33-pod");
}

TEST_F(K8sPsatVerifierTest, TakesTheKeyOfAJwkSetByItsIdentifier) {
  WriteKeys(cluster_.JwkSet("key-1"));
  EXPECT_OK(ShowClaims(Claims()));
  WriteKeys(cluster_.JwkSet("key-2"));
  EXPECT_THAT(ShowClaims(Claims()),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("none of the 1 keys")));
}

TEST_F(K8sPsatVerifierTest, ReadsTheKeysAnewForEachAttestation) {
  const auto verifier = MakeK8sPsatVerifier(options_).value();
  const std::string payload =
      Json{{"cluster", "demo"}, {"token", cluster_.Token(Claims()) + "\n"}}.dump();
  EXPECT_OK(verifier->Start()->Begin(payload, clock_.Now()));
  WriteKeys(FakeCluster().Pem());
  EXPECT_FALSE(verifier->Start()->Begin(payload, clock_.Now()).ok());
}

TEST_F(K8sPsatVerifierTest, RefusesTokensOfOthersForOthersOrOutOfTime) {
  const int64_t now = absl::ToUnixSeconds(clock_.Now());
  const auto with = [this](const char* name, const Json& value) {
    Json claims = Claims();
    claims[name] = value;
    return claims;
  };
  Json no_pod = Claims();
  no_pod["kubernetes.io"].erase("pod");
  Json slash = Claims();
  slash["kubernetes.io"]["pod"]["uid"] = "a/b";
  Json node_slash = Claims();
  node_slash["kubernetes.io"]["node"]["uid"] = "a/../b";
  const std::pair<Json, std::string_view> cases[] = {
      {with("exp", now), "it has expired"},
      {with("exp", nullptr), "exp"},
      {with("nbf", now + 61), "it is valid from"},
      {with("iss", "https://other"), "its issuer is \"https://other\""},
      {with("aud", {"https://kubernetes"}), "its audience is none of spire-server"},
      {with("sub", "system:serviceaccount:spire:other"), "its subject"},
      {no_pod, "pod"},
      {slash, "names no pod"},
      {node_slash, "names no pod"}};
  for (const auto& [claims, words] : cases) {
    EXPECT_THAT(ShowClaims(claims), StatusIs(StatusCode::kPermissionDenied, HasSubstr(words)));
  }
  EXPECT_THAT(Show({{"cluster", "demo"}, {"token", FakeCluster().Token(Claims())}}),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("signed by none")));
}

TEST_F(K8sPsatVerifierTest, RefusesServiceAccountsThatAreNotListed) {
  Config().service_account_allow_list = {"spire:other", "other:spire-agent"};
  EXPECT_THAT(ShowClaims(Claims()),
              StatusIs(StatusCode::kPermissionDenied,
                       HasSubstr("\"spire:spire-agent\" is not an allowed service account")));
}

TEST_F(K8sPsatVerifierTest, RefusesMalformedPayloads) {
  const std::pair<Json, std::string_view> cases[] = {
      {Json::array(), "failed to unmarshal data payload"},
      {{{"token", "t"}}, "missing cluster"},
      {{{"cluster", "demo"}}, "missing token"},
      {{{"cluster", "other"}, {"token", "t"}}, "not configured for cluster \"other\""}};
  for (const auto& [payload, words] : cases) {
    EXPECT_THAT(Show(payload), StatusIs(StatusCode::kInvalidArgument, HasSubstr(words)));
  }
  EXPECT_THAT(Show({{"cluster", "demo"}, {"token", "a.b.c"}}),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("token not authenticated")));
}

TEST_F(K8sPsatVerifierTest, HasNodesTryAgainWhileItsKeysCannotBeRead) {
  const auto verifier = MakeK8sPsatVerifier(options_).value();
  const std::string payload = Json{{"cluster", "demo"}, {"token", cluster_.Token(Claims())}}.dump();
  for (std::string_view broken : {"", "{", "-----BEGIN PUBLIC KEY-----\n"}) {
    WriteKeys(broken);
    EXPECT_THAT(verifier->Start()->Begin(payload, clock_.Now()),
                StatusIs(StatusCode::kUnavailable,
                         "the keys of cluster \"demo\" cannot be read at this time"));
  }
  WriteKeys(cluster_.Pem());
  EXPECT_OK(verifier->Start()->Begin(payload, clock_.Now()));
}

TEST_F(K8sPsatVerifierTest, NamesTheKeyFileThatIsWrong) {
  WriteKeys("nothing here");
  EXPECT_THAT(MakeK8sPsatVerifier(options_),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr(folder_.path())));
  Config().service_account_keys_path = "/absent";
  EXPECT_THAT(MakeK8sPsatVerifier(options_), StatusIs(StatusCode::kNotFound, HasSubstr("demo")));
}

}  // namespace
}  // namespace assay
