// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_serve_reports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assay/roles.pb.h"
#include "tests/support/fake_clock.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

class ServeReportsTest : public testing::Test {
 protected:
  void Get() {
    reports.Get([this](const roles::Report* report) {
      answers.push_back(report == nullptr ? 0 : static_cast<int>(report->number()));
    });
  }
  void Answer(uint64_t number) {
    roles::Report report;
    report.set_number(number);
    reports.Take(report);
  }
  void Pass(absl::Duration time) {
    clock.Advance(time);
    loop->RunOnce(absl::ZeroDuration());
  }

  FakeClock clock;
  std::unique_ptr<EventLoop> loop = EventLoop::Create(clock).value();
  std::vector<uint64_t> asked;
  std::vector<int> answers;
  ServeReports reports{*loop, clock, [this](uint64_t number) { asked.push_back(number); }};
};

TEST_F(ServeReportsTest, OneQuestionIsForAllWhoAskMeanwhileAndAMomentLonger) {
  Get();
  Get();
  EXPECT_THAT(answers, IsEmpty());
  Answer(1);
  Get();
  EXPECT_THAT(answers, ElementsAre(1, 1, 1));
  EXPECT_THAT(asked, ElementsAre(1u));
  Pass(absl::Seconds(1));
  Get();
  EXPECT_THAT(asked, ElementsAre(1u, 2u));
}

TEST_F(ServeReportsTest, WhoAsksIsAnsweredThoughServeIsSilent) {
  Get();
  Pass(ServeReports::kPatience);
  EXPECT_THAT(answers, ElementsAre(0));
  EXPECT_THAT(reports.silence(), Optional(ServeReports::kPatience));
  Pass(absl::Seconds(30));
  Get();
  EXPECT_THAT(reports.silence(), Optional(absl::Seconds(30) + ServeReports::kPatience));
  Answer(2);
  EXPECT_EQ(reports.silence(), std::nullopt);
  EXPECT_THAT(answers, ElementsAre(0, 2));
  Answer(1);
  EXPECT_THAT(answers, ElementsAre(0, 2)) << "that question is older";
}

TEST_F(ServeReportsTest, ServeThatAlwaysAnswersLateIsNotSilent) {
  for (uint64_t number = 1; number <= 5; ++number) {
    Get();
    Pass(ServeReports::kPatience);
    Get();
    Answer(number);
    EXPECT_EQ(reports.silence(), std::nullopt);
    Pass(absl::Seconds(20));
  }
}

TEST_F(ServeReportsTest, AnAnswerThatNobodyAskedForIsDropped) {
  Answer(0);
  Answer(7);
  Get();
  Answer(1);
  Answer(1);
  EXPECT_THAT(answers, ElementsAre(1));
}

}  // namespace
}  // namespace assay
