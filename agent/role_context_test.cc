// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/role_context.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "agent/sealed_start.h"
#include "assay/roles.pb.h"
#include "base/log.h"
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
    calls.push_back("start " + start.serve().trust_domain() + start.identity().config_text());
    context_.Ready();
    context_.Ready();
    return absl::OkStatus();
  }
  absl::Status OnReload(const roles::Start& start) override {
    calls.push_back("reload " + start.serve().trust_domain());
    return absl::OkStatus();
  }
  absl::Status OnLink(roles::Role peer, UniqueFd channel) override {
    calls.push_back(std::string("link ") + (channel.valid() ? "" : "without ") +
                    roles::Role_Name(peer));
    return linked ? linked() : absl::OkStatus();
  }

  std::vector<std::string> calls;
  std::function<absl::Status()> linked;

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
  void Link(int fd, uint64_t number = 7) {
    roles::MonitorToRole message;
    message.mutable_link()->set_peer(roles::PROBE);
    message.mutable_link()->set_number(number);
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
  EXPECT_THAT(fixture.body->calls, ElementsAre("start example.org", "link PROBE"));
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

// What the monitor is told of a link that ends this way, before the role is told to stop.
std::string ToldOfLink(const absl::Status& why, bool relinked) {
  Fixture fixture;
  fixture.body->linked = [&, first = true]() mutable {
    if (std::exchange(first, false)) {
      fixture.context->LinkEnded(roles::PROBE, why);
      const bool waits = absl::IsUnavailable(why);
      fixture.context->loop().After(
          waits ? RoleContext::kRelinkGrace + absl::Milliseconds(1) : absl::ZeroDuration(),
          [&] { fixture.Stop(); });
    }
    return absl::OkStatus();
  };
  fixture.Start();
  fixture.Link(0);
  if (relinked) {
    fixture.Link(0, 8);
  }
  EXPECT_EQ(fixture.context->Run(*fixture.body), 0);
  fixture.context->loop().RunOnce(absl::ZeroDuration());
  const roles::RoleToMonitor& last = fixture.received.back();
  return last.has_broken()
             ? fmt::format("{} {}", roles::Role_Name(last.broken().peer()), last.broken().link())
             : "nothing";
}

TEST(RoleContextTest, HasAPeerEndedThatBreaksTheRulesOrStaysAway) {
  EXPECT_EQ(ToldOfLink(InvalidArgument("too long"), false), "PROBE 7");
  EXPECT_EQ(ToldOfLink(InvalidArgument("too long"), true), "PROBE 7");
  EXPECT_EQ(ToldOfLink(Unavailable("closed"), false), "PROBE 7");
  EXPECT_EQ(ToldOfLink(Unavailable("closed"), true), "nothing");
}

TEST(RoleContextTest, GetsItsConfigurationFromASealedFileAlone) {
  const auto start = [](Fixture& fixture, int fd) {
    roles::MonitorToRole message;
    message.mutable_start()->mutable_identity()->set_has_served(true);
    EXPECT_OK(fixture.monitor->Send(message, fd));
  };
  const std::string text(1 << 20, 'x');
  const auto sealed = SealIdentityStart("name", text, {"-x"});
  ASSERT_OK(sealed);
  EXPECT_LT(pwrite(sealed->get(), "y", 1, 0), 0);
  Fixture good(roles::IDENTITY);
  start(good, sealed->get());
  good.Stop();
  EXPECT_EQ(good.context->Run(*good.body), 0);
  EXPECT_THAT(good.body->calls, ElementsAre("start " + text));
  for (const int fd : {-1, 0}) {
    Fixture bad(roles::IDENTITY);
    start(bad, fd);
    EXPECT_EQ(bad.context->Run(*bad.body), 1);
    EXPECT_TRUE(bad.body->calls.empty());
  }
}

TEST(RoleContextTest, AReloadOfTheLogAloneIsNoneOfTheBodysBusiness) {
  const log::Level before = log::GetLevel();
  Fixture fixture(roles::PLUGIN);
  roles::MonitorToRole message;
  message.mutable_start()->mutable_serve()->set_trust_domain("a");
  EXPECT_OK(fixture.monitor->Send(message));
  message.mutable_reload()->mutable_log()->set_level(static_cast<int>(log::Level::kError));
  EXPECT_OK(fixture.monitor->Send(message));
  fixture.Stop();
  EXPECT_EQ(fixture.context->Run(*fixture.body), 0);
  EXPECT_THAT(fixture.body->calls, ElementsAre("start a"));
  EXPECT_EQ(log::GetLevel(), log::Level::kError);
  message.mutable_reload()->mutable_serve()->set_trust_domain("b");
  Fixture with_role;
  with_role.Start();
  EXPECT_OK(with_role.monitor->Send(message));
  with_role.Stop();
  EXPECT_EQ(with_role.context->Run(*with_role.body), 0);
  EXPECT_THAT(with_role.body->calls, ElementsAre("start example.org", "reload b"));
  log::SetLevel(before);
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
