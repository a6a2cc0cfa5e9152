// SPDX-License-Identifier: GPL-3.0-or-later
// An upstream of several hosts.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "spire/api/server/bundle/v1/bundle.pb.h"
#include "tests/support/fake_upstream.h"
#include "tests/support/status_matchers.h"
#include "tests/support/tcp_listener.h"
#include "tests/support/test_ca.h"
#include "upstream/upstream.h"

namespace assay {
namespace {

namespace bundle = spire::api::server::bundle::v1;
namespace types = spire::api::types;
using absl::StatusCode;
using testing::HasSubstr;

class HostsTest : public testing::Test {
 protected:
  HostsTest() : first_(Make("127.0.0.1")), second_(Make("127.0.0.2")) {
    first_->Start();
    second_->Start(first_->port());
  }

  std::unique_ptr<FakeUpstream> Make(const std::string& address) {
    auto server = std::make_unique<FakeUpstream>(ca_, address);
    server->On<bundle::GetBundleRequest, types::Bundle>(
        "/spire.api.server.bundle.v1.Bundle/GetBundle",
        [this, address](const bundle::GetBundleRequest&,
                        rpc::Call&) -> absl::StatusOr<types::Bundle> {
          ++asked_[address];
          if (unavailable_.contains(address)) {
            return Unavailable("the database is away");
          }
          types::Bundle message;
          message.set_trust_domain(ca_.trust_domain().name());
          message.add_x509_authorities()->set_asn1(ca_.certificate().der());
          return message;
        });
    return server;
  }
  std::unique_ptr<Upstream> Client(std::vector<std::string> addresses) {
    auto client = MakeUpstream({.addresses = std::move(addresses),
                                .port = first_->port(),
                                .trust_domain = ca_.trust_domain()},
                               clock_);
    client->SetBundle(ca_.Bundle());
    return client;
  }
  std::unique_ptr<Upstream> Client() { return Client({"127.0.0.1", "127.0.0.2"}); }

  SystemClock clock_;
  const TestCa ca_, evil_;
  std::set<std::string> unavailable_;  // Addresses of hosts that say so; set between two calls.
  std::map<std::string, int> asked_;   // How often; read between two calls.
  std::unique_ptr<FakeUpstream> first_, second_;
};

TEST_F(HostsTest, TheFirstIsUsedWhileItCanBe) {
  const auto client = Client();
  for (int i = 0; i < 5; ++i) {
    ASSERT_OK(client->FetchBundle());
    first_->DropConnections();
  }
  EXPECT_EQ(first_->connections().size(), 5u);
  EXPECT_TRUE(second_->connections().empty());
}

TEST_F(HostsTest, TheNextIsUsedWithoutAFailedCallAndKept) {
  const auto client = Client();
  ASSERT_OK(client->FetchBundle());
  first_.reset();
  ASSERT_OK(client->FetchBundle());
  EXPECT_EQ(second_->connections().size(), 1u);
  second_->DropConnections();
  ASSERT_OK(client->FetchBundle());
  EXPECT_EQ(second_->connections().size(), 2u);
}

TEST_F(HostsTest, OneThatIsNotTrustedIsPassedOver) {
  first_->UseIdentity(evil_, "spiffe://example.org/spire/server");
  EXPECT_OK(Client()->FetchBundle());
  EXPECT_TRUE(first_->connections().empty());
}

TEST_F(HostsTest, OnlyWhenNoneIsTrustedIsTheUpstreamUntrusted) {
  first_->UseIdentity(evil_, "spiffe://example.org/spire/server");
  EXPECT_TRUE(IsUntrusted(Client({"127.0.0.1"})->FetchBundle().status()));
  EXPECT_FALSE(IsUntrusted(Client({"127.0.0.1", "127.0.0.3"})->FetchBundle().status()));
  EXPECT_FALSE(IsUntrusted(Client({"127.0.0.3", "127.0.0.1"})->FetchBundle().status()));
  second_->UseIdentity(evil_, "spiffe://example.org/spire/server");
  EXPECT_TRUE(IsUntrusted(Client()->FetchBundle().status()));
}

TEST_F(HostsTest, HostsThatSayNothingTakeNoMoreTimeThanTheCallHas) {
  // The kernel accepts connections, and nobody speaks TLS on them.
  const UniqueFd silent = ListenOn(INADDR_ANY);
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  getsockname(silent.get(), reinterpret_cast<sockaddr*>(&address), &size);
  const auto client = MakeUpstream({.addresses = {"127.0.0.1", "127.0.0.2", "127.0.0.3"},
                                    .port = ntohs(address.sin_port),
                                    .trust_domain = ca_.trust_domain(),
                                    .call_deadline = absl::Milliseconds(300)},
                                   clock_);
  client->SetBundle(ca_.Bundle());
  const absl::Duration begun = clock_.SinceBoot();
  const absl::Status failed = client->FetchBundle().status();
  EXPECT_THAT(failed, StatusIs(StatusCode::kUnavailable, HasSubstr("no answer")));
  EXPECT_LT(clock_.SinceBoot() - begun, absl::Seconds(9));
}

TEST_F(HostsTest, TheNextIsAskedWhenOneSaysThatItIsUnavailable) {
  const auto client = Client();
  ASSERT_OK(client->FetchBundle());
  unavailable_ = {"127.0.0.1"};
  EXPECT_OK(client->FetchBundle());
  EXPECT_EQ(second_->connections().size(), 1u);
  first_->DropConnections();
  second_->DropConnections();
  unavailable_ = {"127.0.0.2"};
  EXPECT_OK(client->FetchBundle()) << "after a connection that was lost, too";
  const size_t before = first_->connections().size() + second_->connections().size();
  unavailable_ = {"127.0.0.1", "127.0.0.2"};
  EXPECT_THAT(client->FetchBundle(), StatusIs(StatusCode::kUnavailable, testing::_));
  EXPECT_EQ(first_->connections().size() + second_->connections().size(), before + 2)
      << "each is asked once";
  for (const char* away : {"127.0.0.1", "127.0.0.2", "127.0.0.1"}) {
    unavailable_ = {away};
    EXPECT_OK(client->FetchBundle());
  }
}

TEST_F(HostsTest, OneThatSaysThatItIsUnavailableIsAskedOnceWhileTheOthersAreDown) {
  first_->UseIdentity(evil_, "spiffe://example.org/spire/server");
  unavailable_ = {"127.0.0.2"};
  EXPECT_THAT(Client({"127.0.0.1", "127.0.0.2", "127.0.0.3"})->FetchBundle(),
              StatusIs(StatusCode::kUnavailable, HasSubstr("the database is away")));
  EXPECT_EQ(asked_["127.0.0.2"], 1);
}

TEST_F(HostsTest, SaysWhatTheLastAnswered) {
  EXPECT_THAT(Client({"127.0.0.3", "no-such-host.invalid"})->FetchBundle(),
              StatusIs(StatusCode::kUnavailable, HasSubstr("no-such-host.invalid:")));
}

}  // namespace
}  // namespace assay
