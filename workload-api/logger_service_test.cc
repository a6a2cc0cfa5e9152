// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/logger_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "spire/api/agent/logger/v1/logger.pb.h"
#include "tests/support/test_server.h"

namespace assay {
namespace {

using spire::api::types::LogLevel;
using testing::ElementsAre;

class LoggerServiceTest : public testing::Test {
 protected:
  LoggerServiceTest() {
    log::SetLevel(log::Level::kWarn);
    service_.AddTo(server_.registry);
    server_.Start();
    client_ = server_.Connect();
  }
  ~LoggerServiceTest() override { log::SetLevel(log::Level::kInfo); }

  const Http2Client::Stream& Call(const std::string& method, const std::string& request = "") {
    return client_->Call("/spire.api.agent.logger.v1.Logger/" + method, request);
  }
  static std::string SetTo(int level) {
    spire::api::agent::logger::v1::SetLogLevelRequest request;
    request.set_new_level(static_cast<LogLevel>(level));
    return request.SerializeAsString();
  }
  static std::string Says(LogLevel current, LogLevel launch) {
    spire::api::types::Logger response;
    response.set_current_level(current);
    response.set_launch_level(launch);
    return response.SerializeAsString();
  }

  std::vector<log::Level> told_;
  LoggerService service_{{.launch_level = log::Level::kWarn,
                          .set = [this](log::Level level) { told_.push_back(level); }}};
  TestServer server_;
  std::unique_ptr<Http2Client> client_;
};

TEST_F(LoggerServiceTest, SetsAndResetsTheLevelOfTheAgent) {
  EXPECT_THAT(Call("GetLogger").messages(), ElementsAre(Says(LogLevel::WARN, LogLevel::WARN)));
  EXPECT_THAT(Call("SetLogLevel", SetTo(LogLevel::DEBUG)).messages(),
              ElementsAre(Says(LogLevel::DEBUG, LogLevel::WARN)));
  EXPECT_EQ(log::GetLevel(), log::Level::kDebug);
  EXPECT_THAT(Call("ResetLogLevel").messages(), ElementsAre(Says(LogLevel::WARN, LogLevel::WARN)));
  EXPECT_THAT(told_, ElementsAre(log::Level::kDebug, log::Level::kWarn));
}

TEST_F(LoggerServiceTest, RefusesLevelsThatThereAreNot) {
  EXPECT_EQ(Call("SetLogLevel", SetTo(0)).message(),
            "newLevel value cannot be LogLevel_UNSPECIFIED");
  EXPECT_EQ(Call("SetLogLevel", SetTo(8)).message(), "unsupported log level");
  EXPECT_EQ(Call("SetLogLevel", SetTo(8)).status(), 3);
  EXPECT_TRUE(told_.empty());
}

}  // namespace
}  // namespace assay
