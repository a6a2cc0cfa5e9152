// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/upstream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <iterator>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "spire/api/server/agent/v1/agent.pb.h"
#include "spire/api/server/bundle/v1/bundle.pb.h"
#include "tests/support/fake_upstream.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_ca.h"

namespace assay {
namespace {

namespace bundle = spire::api::server::bundle::v1;
namespace agent = spire::api::server::agent::v1;
namespace types = spire::api::types;
using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kAgentId[] = "spiffe://example.org/spire/agent/x";

types::Bundle MessageOf(const TestCa& ca) {
  types::Bundle message;
  message.set_trust_domain(ca.trust_domain().name());
  message.add_x509_authorities()->set_asn1(ca.certificate().der());
  message.set_sequence_number(3);
  return message;
}

// What a caller that wants the number alone gets.
template <typename Request>
types::Bundle Masked(const Request& request, const types::Bundle& whole) {
  if (!request.has_output_mask()) {
    return whole;
  }
  EXPECT_EQ(request.output_mask().ShortDebugString(), "sequence_number: true");
  types::Bundle masked;
  masked.set_trust_domain(whole.trust_domain());
  masked.set_sequence_number(whole.sequence_number());
  return masked;
}

class UpstreamTest : public testing::Test {
 protected:
  UpstreamTest() : bundle_message_(MessageOf(ca_)), server_(ca_) {
    server_.On<bundle::GetBundleRequest, types::Bundle>(
        "/spire.api.server.bundle.v1.Bundle/GetBundle",
        [this](const bundle::GetBundleRequest& request, rpc::Call&)
            -> absl::StatusOr<types::Bundle> { return Masked(request, bundle_message_); });
    server_.On<bundle::GetFederatedBundleRequest, types::Bundle>(
        "/spire.api.server.bundle.v1.Bundle/GetFederatedBundle",
        [this](const bundle::GetFederatedBundleRequest& request,
               rpc::Call&) -> absl::StatusOr<types::Bundle> {
          if (request.trust_domain() != foreign_.trust_domain().name()) {
            return NotFound("bundle not found");
          }
          return Masked(request, MessageOf(foreign_));
        });
    server_.On<agent::PostStatusRequest, agent::PostStatusResponse>(
        "/spire.api.server.agent.v1.Agent/PostStatus",
        [this](const agent::PostStatusRequest& request,
               rpc::Call&) -> absl::StatusOr<agent::PostStatusResponse> {
          ++posts_;
          posted_version_ = request.agent_version();
          if (!post_status_.ok()) {
            return post_status_;
          }
          return agent::PostStatusResponse();
        });
    server_.OnSilent("/spire.api.server.svid.v1.SVID/NewJWTSVID");
    server_.Start();
  }

  // A client that knows the authority.
  std::unique_ptr<Upstream> Client() {
    auto client = ClientWithoutBundle(false);
    client->SetBundle(ca_.Bundle());
    return client;
  }
  std::unique_ptr<Upstream> ClientWithoutBundle(bool insecure_bootstrap) {
    return MakeUpstream({.addresses = {"127.0.0.1"},
                         .port = server_.port(),
                         .trust_domain = ca_.trust_domain(),
                         .insecure_bootstrap = insecure_bootstrap},
                        clock_);
  }
  std::string Connecting() const {
    return fmt::format("connecting to 127.0.0.1:{}: ", server_.port());
  }

  SystemClock clock_;
  const TestCa ca_, evil_;
  const TestCa foreign_{"foreign.test"};
  types::Bundle bundle_message_;
  int posts_ = 0;
  std::string posted_version_;
  absl::Status post_status_;
  FakeUpstream server_;  // After what its thread uses.
};

TEST_F(UpstreamTest, FetchesTheBundle) {
  const auto fetched = Client()->FetchBundle();
  ASSERT_OK(fetched);
  TrustBundle wanted = ca_.Bundle();
  wanted.sequence_number = 3;
  EXPECT_EQ(*fetched, wanted);
  EXPECT_THAT(server_.callers(), ElementsAre(""));
}

TEST_F(UpstreamTest, DoesNotTalkToAServerThatItCannotVerify) {
  EXPECT_THAT(ClientWithoutBundle(false)->FetchBundle(),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("no trust bundle")));
  const auto client = ClientWithoutBundle(false);
  client->SetBundle(evil_.Bundle());
  EXPECT_THAT(client->FetchBundle(),
              StatusIs(StatusCode::kUnavailable,
                       Connecting() + "x509: certificate signed by unknown authority"));
  EXPECT_TRUE(IsUntrusted(client->FetchBundle().status()));
  server_.UseIdentity(ca_, "spiffe://example.org/spire/agent/x");
  EXPECT_FALSE(IsUntrusted(Client()->FetchBundle().status()));
  EXPECT_THAT(Client()->FetchBundle(),
              StatusIs(StatusCode::kUnavailable,
                       Connecting() + "the server is spiffe://example.org/spire/agent/x, wanted "
                                      "spiffe://example.org/spire/server"));
  EXPECT_TRUE(server_.connections().empty());
}

TEST_F(UpstreamTest, InsecureBootstrapLooksAtTheNameAloneUntilThereIsABundle) {
  server_.UseIdentity(evil_, "spiffe://example.org/spire/server");
  const auto client = ClientWithoutBundle(true);
  EXPECT_OK(client->FetchBundle());
  server_.DropConnections();
  client->SetBundle(ca_.Bundle());
  EXPECT_THAT(client->FetchBundle(),
              StatusIs(StatusCode::kUnavailable, HasSubstr("signed by unknown authority")));
  server_.UseIdentity(evil_, "spiffe://example.org/other");
  EXPECT_THAT(ClientWithoutBundle(true)->FetchBundle(),
              StatusIs(StatusCode::kUnavailable, HasSubstr("the server is")));
}

TEST_F(UpstreamTest, SaysWhyThereIsNoConnection) {
  const auto client = MakeUpstream({.addresses = {"no-such-host.invalid"},
                                    .trust_domain = ca_.trust_domain(),
                                    .insecure_bootstrap = true},
                                   clock_);
  EXPECT_THAT(client->FetchBundle(),
              StatusIs(StatusCode::kUnavailable,
                       StartsWith("connecting to no-such-host.invalid:8081: resolving")));
  uint16_t closed_port = 0;
  {
    FakeUpstream gone(ca_);
    gone.Start();
    closed_port = gone.port();
  }
  EXPECT_EQ(MakeUpstream({.addresses = {"127.0.0.1"},
                          .port = closed_port,
                          .trust_domain = ca_.trust_domain(),
                          .insecure_bootstrap = true},
                         clock_)
                ->FetchBundle()
                .status(),
            Unavailable("connecting to 127.0.0.1:{}: connect: Connection refused", closed_port));
}

TEST_F(UpstreamTest, CallsShareAConnection) {
  const auto client = Client();
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(client->FetchBundle());
  }
  const auto connections = server_.connections();
  EXPECT_THAT(connections, testing::Each(connections.front()));
}

TEST_F(UpstreamTest, ALostConnectionFailsNoCall) {
  const auto client = Client();
  for (int i = 0; i < 5; ++i) {
    ASSERT_OK(client->FetchBundle());
    server_.DropConnections();
    ASSERT_OK(client->FetchBundle());
    server_.SendGoaway();
  }
}

TEST_F(UpstreamTest, CallsOfManyThreadsOutliveEveryGoaway) {
  constexpr int kCalls = 60;
  const auto client = Client();
  ASSERT_OK(client->FetchBundle());
  std::array<std::atomic<int>, 4> done{};
  std::vector<std::thread> callers;
  for (std::atomic<int>& count : done) {
    callers.emplace_back([&] {
      for (int call = 0; call < kCalls; ++call) {
        EXPECT_OK(client->FetchBundle().status());
        ++count;
      }
    });
  }
  // When the next comes all have called on a new connection: the server cuts off handshakes.
  for (int round = 0; round < kCalls / 3; ++round) {
    server_.SendGoaway();
    for (const std::atomic<int>& count : done) {
      for (const int before = count; count < std::min(before + 3, kCalls);) {
        std::this_thread::yield();
      }
    }
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
}

TEST_F(UpstreamTest, ACallThatIsNotAnsweredEnds) {
  const auto client = MakeUpstream({.addresses = {"127.0.0.1"},
                                    .port = server_.port(),
                                    .trust_domain = ca_.trust_domain(),
                                    .call_deadline = absl::Milliseconds(100)},
                                   clock_);
  client->SetBundle(ca_.Bundle());
  EXPECT_THAT(client->MintJwtSvid("entry", {"a"}),
              StatusIs(StatusCode::kDeadlineExceeded, testing::_));
  EXPECT_OK(client->FetchBundle()) << "on a new connection";
}

TEST_F(UpstreamTest, AnUpstreamThatSaysItIsUnavailableIsNotAskedAgainAtOnce) {
  const auto client = Client();
  ASSERT_OK(client->FetchBundle());
  post_status_ = Unavailable("too many calls");
  EXPECT_EQ(client->PostStatus("1"), post_status_) << "on a connection that there was";
  EXPECT_EQ(posts_, 1);
  EXPECT_EQ(client->PostStatus("1"), post_status_) << "on a new one";
  EXPECT_EQ(posts_, 2);
  post_status_ = absl::OkStatus();
  EXPECT_OK(client->PostStatus("1"));
}

// Descriptors and threads of this process.
size_t CountOf(const char* folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder),
                                           std::filesystem::directory_iterator()));
}

TEST_F(UpstreamTest, ReconnectsLeaveNothingBehind) {
  const auto client = Client();
  size_t descriptors = 0, threads = 0;
  for (int i = 0; i < 120; ++i) {
    ASSERT_OK(client->FetchBundle());
    server_.DropConnections();
    if (i == 20) {
      descriptors = CountOf("/proc/self/fd");
      threads = CountOf("/proc/self/task");
    }
  }
  EXPECT_LE(CountOf("/proc/self/fd"), descriptors + 4);
  EXPECT_LE(CountOf("/proc/self/task"), threads + 4);
}

TEST_F(UpstreamTest, AnSvidIsPresentedFromTheNextCallOn) {
  const auto client = Client();
  ASSERT_OK(client->FetchBundle());
  client->SetSvid(ca_.IssueSvid(TestId(kAgentId)));
  ASSERT_OK(client->PostStatus("1.2.3"));
  client->SetSvid(std::nullopt);
  ASSERT_OK(client->FetchBundle());
  EXPECT_THAT(server_.callers(), ElementsAre("", kAgentId, ""));
  EXPECT_EQ(posted_version_, "1.2.3");
}

TEST_F(UpstreamTest, ABundleAloneNeedsNoNewConnection) {
  const auto client = Client();
  ASSERT_OK(client->FetchBundle());
  client->SetBundle(ca_.Bundle());
  ASSERT_OK(client->FetchBundle());
  const auto connections = server_.connections();
  ASSERT_EQ(connections.size(), 2u);
  EXPECT_EQ(connections[0], connections[1]);
}

TEST_F(UpstreamTest, TheAlertOfAServerThatRefusesTheSvidIsTold) {
  const auto client = Client();
  client->SetSvid(evil_.IssueSvid(TestId(kAgentId)));
  EXPECT_THAT(client->PostStatus("1"),
              StatusIs(StatusCode::kUnavailable, StartsWith(Connecting() + "remote error: tls: ")));
  EXPECT_TRUE(server_.connections().empty());
}

TEST_F(UpstreamTest, CarriesTheCodeAndWordsOfAFailedCall) {
  const auto client = Client();
  for (StatusCode code :
       {StatusCode::kInvalidArgument, StatusCode::kNotFound, StatusCode::kPermissionDenied,
        StatusCode::kInternal, StatusCode::kResourceExhausted, StatusCode::kUnauthenticated}) {
    post_status_ = MakeStatus(code, "as the upstream says: \"\xc3\xa9\"");
    EXPECT_EQ(client->PostStatus("1"), post_status_);
  }
}

// The serialized google.rpc.Status with one detail of this type and value.
std::string Details(std::string_view type, std::string_view value) {
  const auto field = [](char tag, std::string_view bytes) {
    return std::string{tag, static_cast<char>(bytes.size())} + std::string(bytes);
  };
  return std::string("\x08\x07", 2) + field(0x1a, field(0x0a, type) + field(0x12, value));
}

TEST_F(UpstreamTest, TellsWhyTheUpstreamRefusesTheAgent) {
  constexpr char kType[] = "type.googleapis.com/spire.api.types.PermissionDeniedDetails";
  const std::pair<std::string_view, Refusal> kReasons[] = {
      {"\x08\x01", Refusal::kExpired},      {"\x08\x02", Refusal::kNotAttested},
      {"\x08\x03", Refusal::kNotActive},    {"\x08\x04", Refusal::kBanned},
      {"\x08\x05", Refusal::kMustReattest}, {"", Refusal::kNone},
      {"\x08\x09", Refusal::kNone},         {"\x08", Refusal::kNone}};
  const auto client = Client();
  post_status_ = PermissionDenied("authorization denied");
  for (const auto& [value, refusal] : kReasons) {
    server_.SetDetails(Details(kType, value));
    EXPECT_EQ(RefusalOf(client->PostStatus("1")), refusal);
  }
  for (const std::string& details :
       {std::string(), std::string("\xff\xff"), Details("other", "\x08\x04")}) {
    server_.SetDetails(details);
    EXPECT_EQ(RefusalOf(client->PostStatus("1")), Refusal::kNone);
  }
  server_.SetDetails(Details(kType, "\x08\x04"));
  post_status_ = NotFound("no such agent");
  EXPECT_EQ(RefusalOf(client->PostStatus("1")), Refusal::kNone);
  EXPECT_EQ(RefusalOf(absl::OkStatus()), Refusal::kNone);
}

TEST_F(UpstreamTest, LeavesOutAuthoritiesThatDoNotParse) {
  bundle_message_.add_x509_authorities()->set_asn1("garbage");
  bundle_message_.add_jwt_authorities()->set_public_key(ca_.key().public_key().spki());
  types::JWTKey& good = *bundle_message_.add_jwt_authorities();
  good.set_public_key(ca_.key().public_key().spki());
  good.set_key_id("k");
  good.set_expires_at(77);
  good.set_tainted(true);
  bundle_message_.mutable_x509_authorities(0)->set_tainted(true);
  bundle_message_.set_refresh_hint(60);
  const auto fetched = Client()->FetchBundle();
  ASSERT_OK(fetched);
  ASSERT_EQ(fetched->x509_authorities.size(), 1u);
  EXPECT_TRUE(fetched->x509_authorities[0].tainted);
  EXPECT_THAT(
      fetched->jwt_authorities,
      ElementsAre(JwtAuthority{
          .key_id = "k", .public_key = ca_.key().public_key(), .expires_at = 77, .tainted = true}));
  EXPECT_EQ(fetched->refresh_hint, absl::Seconds(60));
}

// ID-21
TEST_F(UpstreamTest, RefusesABundleThatCouldVerifyNothing) {
  bundle_message_.mutable_x509_authorities(0)->set_asn1("garbage");
  EXPECT_THAT(Client()->FetchBundle(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("none of its 1")));
  bundle_message_.clear_x509_authorities();
  EXPECT_THAT(Client()->FetchBundle(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("has no X.509 authority")));
}

// TDB-13
TEST_F(UpstreamTest, RefusesABundleOfAnotherTrustDomain) {
  bundle_message_.set_trust_domain("other.test");
  EXPECT_THAT(Client()->FetchBundle(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("\"other.test\"")));
}

TEST_F(UpstreamTest, FetchesTheNumberAlone) {
  const auto client = Client();
  EXPECT_EQ(client->FetchSequenceNumber(ca_.trust_domain()).value(), 3u);
  EXPECT_EQ(client->FetchSequenceNumber(foreign_.trust_domain()).value(), 3u);
  EXPECT_THAT(client->FetchSequenceNumber(TestDomain("unknown.test")),
              StatusIs(StatusCode::kNotFound, "bundle not found"));
  bundle_message_.set_sequence_number(0);
  EXPECT_EQ(client->FetchSequenceNumber(ca_.trust_domain()).value(), std::nullopt);
}

TEST_F(UpstreamTest, FetchesBundlesOfOthers) {
  const auto client = Client();
  const auto fetched = client->FetchFederatedBundle(foreign_.trust_domain());
  ASSERT_OK(fetched);
  EXPECT_EQ(fetched->X509Der(), foreign_.certificate().der());
  EXPECT_THAT(client->FetchFederatedBundle(TestDomain("unknown.test")),
              StatusIs(StatusCode::kNotFound, "bundle not found"));
}

}  // namespace
}  // namespace assay
