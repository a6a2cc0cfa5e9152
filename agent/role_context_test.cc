// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/role_context.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "assay/roles.pb.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A role that writes down what it is told.
class FakeBody final : public RoleBody {
 public:
  explicit FakeBody(RoleContext& context) : context_(context) {}
  absl::Status OnStart(const roles::Start& start) override {
    calls.push_back("start " + start.serve().trust_domain());
    context_.Ready();
    context_.Ready();
    return absl::OkStatus();
  }
  absl::Status OnLink(roles::Role peer, UniqueFd channel) override {
    calls.push_back(std::string("link ") + (channel.valid() ? "" : "without ") +
                    roles::Role_Name(peer));
    return absl::OkStatus();
  }
  void OnStop() override { calls.push_back("stop"); }

  std::vector<std::string> calls;

 private:
  RoleContext& context_;
};

// The monitor's end is written before the role runs, so that one Run sees it all.
struct Fixture {
  explicit Fixture(roles::Role self = roles::SERVE) {
    auto pair = Channel::MakePair();
    context = RoleContext::Create(self, std::move(pair->second)).value();
    body = std::make_unique<FakeBody>(*context);
    monitor = Channel::Create(
                  context->loop(), std::move(pair->first),
                  [this](std::string_view bytes, UniqueFd) {
                    received.emplace_back().ParseFromString(std::string(bytes));
                  },
                  [](const absl::Status&) {})
                  .value();
  }
  void Start() {
    roles::MonitorToRole message;
    message.mutable_start()->mutable_serve()->set_trust_domain("example.org");
    EXPECT_OK(monitor->Send(message));
  }
  void Link(int fd) {
    roles::MonitorToRole message;
    message.mutable_link()->set_peer(roles::PROBE);
    EXPECT_OK(monitor->Send(message, fd));
  }
  void Stop() {
    roles::MonitorToRole message;
    message.mutable_stop();
    EXPECT_OK(monitor->Send(message));
  }

  std::unique_ptr<RoleContext> context;
  std::unique_ptr<FakeBody> body;
  std::unique_ptr<Channel> monitor;
  std::vector<roles::RoleToMonitor> received;
};

TEST(RoleContextTest, CallsTheBodyInTheOrderOfTheMessages) {
  Fixture fixture;
  fixture.Start();
  fixture.Link(0);
  fixture.Stop();
  EXPECT_EQ(fixture.context->Run(*fixture.body), 0);
  EXPECT_THAT(fixture.body->calls, ElementsAre("start example.org", "link PROBE", "stop"));
}

TEST(RoleContextTest, TellsTheMonitorOnceThatItIsReady) {
  Fixture fixture;
  fixture.Start();
  fixture.Stop();
  fixture.context->Run(*fixture.body);
  fixture.context->loop().RunOnce(absl::Seconds(5));
  ASSERT_EQ(fixture.received.size(), 1u);
  EXPECT_TRUE(fixture.received[0].has_ready());
}

TEST(RoleContextTest, EndsWhenTheMonitorIsGone) {
  Fixture fixture;
  fixture.Start();
  fixture.monitor.reset();
  EXPECT_EQ(fixture.context->Run(*fixture.body), 1);
}

TEST(RoleContextTest, RefusesASecondStartAndAnythingBeforeTheFirst) {
  Fixture twice;
  twice.Start();
  twice.Start();
  EXPECT_EQ(twice.context->Run(*twice.body), 1);
  Fixture early;
  early.Link(0);
  EXPECT_EQ(early.context->Run(*early.body), 1);
  EXPECT_TRUE(early.body->calls.empty());
}

TEST(RoleContextTest, RefusesALinkWithoutItsDescriptor) {
  Fixture fixture;
  fixture.Start();
  fixture.Link(-1);
  EXPECT_EQ(fixture.context->Run(*fixture.body), 1);
}

TEST(RoleContextTest, RefusesAListenerForARoleThatTakesNone) {
  Fixture fixture(roles::PROBE);
  fixture.Start();
  roles::MonitorToRole message;
  message.mutable_listen()->set_endpoint(roles::WORKLOAD_API);
  EXPECT_OK(fixture.monitor->Send(message, 0));
  EXPECT_EQ(fixture.context->Run(*fixture.body), 1);
}

TEST(RolesTest, PermitsWhatTheTableListsAndNothingElse) {
  EXPECT_OK(CheckPermitted(roles::IDENTITY, roles::MONITOR, roles::RoleToMonitor::kExit));
  EXPECT_THAT(CheckPermitted(roles::SERVE, roles::MONITOR, roles::RoleToMonitor::kExit),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("serve")));
  EXPECT_FALSE(CheckPermitted(roles::IDENTITY, roles::PROBE, kWholeMessage).ok());
  EXPECT_FALSE(CheckPermitted(roles::SERVE, roles::IDENTITY, 0).ok());
}

TEST(RolesTest, NamesEveryRoleOnce) {
  for (const RoleSpec& spec : Roles()) {
    EXPECT_EQ(ParseRole(spec.name).value(), spec.role);
    EXPECT_EQ(&SpecOf(spec.role), &spec);
  }
  EXPECT_THAT(ParseRole("monitor"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("monitor")));
}

}  // namespace
}  // namespace assay
