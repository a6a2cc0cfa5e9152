// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugin/go_plugin.pb.h"
#include "spire/service/common/config/v1/config.pb.h"
#include "spire/service/private/init/v1/init.pb.h"
#include "tests/support/fake_plugin.h"

namespace assay {
namespace {

namespace config = spire::service::common::config::v1;
namespace init = spire::service::private_::init::v1;

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kConfig[] = "spire.service.common.config.v1.Config";
constexpr char kAttestor[] = "spire.plugin.agent.workloadattestor.v1.WorkloadAttestor";

// A plugin with services of these names.
class FakePlugin {
 public:
  explicit FakePlugin(std::vector<std::string> services) {
    server_.On<init::InitRequest,
               init::InitResponse>("/spire.service.private.init.v1.Init/Init", [this, services](
                                                                                   const auto&
                                                                                       request) {
      host_services = {request.host_service_names().begin(), request.host_service_names().end()};
      init::InitResponse response;
      response.mutable_plugin_service_names()->Add(services.begin(), services.end());
      return response;
    });
    server_.On<config::ConfigureRequest, config::ConfigureResponse>(
        "/spire.service.common.config.v1.Config/Configure",
        [this](const auto& request) -> absl::StatusOr<config::ConfigureResponse> {
          configured =
              request.core_configuration().trust_domain() + ": " + request.hcl_configuration();
          if (request.hcl_configuration() == "bad") {
            return InvalidArgument("unknown option");
          }
          return config::ConfigureResponse();
        });
    server_.On<plugin::Empty, plugin::Empty>("/plugin.GRPCController/Shutdown",
                                             [this](const auto&) {
                                               was_shut_down = true;
                                               return plugin::Empty();
                                             });
    server_.OnStream("/plugin.GRPCBroker/StartStream", [this](rpc::Call&, std::string_view bytes) {
      broker_.set_value(std::string(bytes));
    });
    // More than a plugin could print if nobody read it.
    server_.OnStream("/plugin.GRPCStdio/StreamStdio", [this](rpc::Call& call, std::string_view) {
      plugin::StdioData data;
      data.set_data(std::string(200'000, 'x'));
      call.Send(std::make_shared<const rpc::Frame>(data));
      printed_.set_value(&call);
    });
    server_.Start();
  }

  absl::StatusOr<std::unique_ptr<PluginSession>> Begin() {
    return PluginSession::Begin(server_.Connect(),
                                {.plugin = {PluginType::kWorkloadAttestor, "test"},
                                 .trust_domain = "example.org",
                                 .host_socket = "/host",
                                 .host_services = {"a.Service"}});
  }
  plugin::ConnInfo AwaitBroker() {
    plugin::ConnInfo info;
    info.ParseFromString(broker_.get_future().get());
    return info;
  }
  void AwaitPrinted() { printed_.get_future().wait(); }

  std::vector<std::string> host_services;
  std::string configured;
  bool was_shut_down = false;

 private:
  std::promise<std::string> broker_;
  std::promise<rpc::Call*> printed_;
  FakePluginServer server_;  // Last: it ends before what its handlers use.
};

TEST(PluginSessionTest, TellsThePluginWhereTheHostsServicesAre) {
  FakePlugin plugin({kAttestor, kConfig, "other.Service"});
  const auto session = plugin.Begin();
  ASSERT_OK(session.status());
  const plugin::ConnInfo info = plugin.AwaitBroker();
  EXPECT_EQ(info.service_id(), 1U);
  EXPECT_EQ(info.network(), "unix");
  EXPECT_EQ(info.address(), "/host");
  EXPECT_THAT(plugin.host_services, ElementsAre("a.Service"));
  EXPECT_THAT((*session)->unknown_services(), ElementsAre("other.Service"));
  plugin.AwaitPrinted();
}

TEST(PluginSessionTest, GivesThePluginItsOptions) {
  FakePlugin plugin({kAttestor, kConfig});
  const auto session = plugin.Begin();
  ASSERT_OK(session.status());
  EXPECT_OK((*session)->Configure(Secret("a = 1\n")));
  EXPECT_EQ(plugin.configured, "example.org: a = 1\n");
  EXPECT_OK((*session)->Configure(std::nullopt));
  EXPECT_EQ(plugin.configured, "example.org: ");
  EXPECT_THAT((*session)->Configure(Secret("bad")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("workloadattestor(test): unknown option")));
}

TEST(PluginSessionTest, AnOptionForAPluginThatTakesNoneIsAnError) {
  FakePlugin plugin({kAttestor});
  const auto session = plugin.Begin();
  ASSERT_OK(session.status());
  EXPECT_OK((*session)->Configure(std::nullopt));
  EXPECT_THAT((*session)->Configure(Secret("a = 1")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("takes no options")));
  EXPECT_EQ(plugin.configured, "");
}

TEST(PluginSessionTest, APluginOfAnotherTypeIsAnError) {
  FakePlugin plugin({"spire.plugin.agent.nodeattestor.v1.NodeAttestor", kConfig});
  EXPECT_THAT(plugin.Begin().status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(kAttestor)));
}

TEST(PluginSessionTest, TooManyServicesAreAnError) {
  FakePlugin plugin(std::vector<std::string>(65, kAttestor));
  EXPECT_THAT(plugin.Begin().status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("has 65 services")));
}

TEST(PluginSessionTest, EndsThePlugin) {
  FakePlugin plugin({kAttestor});
  const auto session = plugin.Begin();
  ASSERT_OK(session.status());
  (*session)->End();
  EXPECT_TRUE(plugin.was_shut_down);
}

TEST(PluginSessionTest, NobodyBehindTheSocketIsAnError) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd near(ends[0]);
  UniqueFd(ends[1]).Reset();
  EXPECT_THAT(PluginSession::Begin(std::move(near), {.plugin = {PluginType::kSvidStore, "s"},
                                                     .trust_domain = "example.org",
                                                     .host_socket = "/host",
                                                     .host_services = {}})
                  .status(),
              StatusIs(absl::StatusCode::kUnavailable, StartsWith("svidstore(s): ")));
}

}  // namespace
}  // namespace assay
