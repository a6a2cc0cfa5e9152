// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/change_queue.h"

#include <gmock/gmock.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::SizeIs;

class ChangeQueueTest : public testing::Test {
 protected:
  // A change that notes when it is planned, written and done.
  ChangeQueue::Change Note(const std::string& name, absl::Status write_outcome) {
    return {.plan = [this, name, write_outcome]() -> absl::StatusOr<ChangeQueue::Write> {
              notes_.push_back("plan " + name);
              return ChangeQueue::Write([name, write_outcome](Store& store) {
                EXPECT_OK(store.Put(JoinToken{.digest = name}));
                return write_outcome;
              });
            },
            .done =
                [this, name](const absl::Status& outcome) {
                  notes_.push_back((outcome.ok() ? "done " : "failed ") + name);
                }};
  }
  void RunUntil(size_t notes) {
    while (notes_.size() < notes) {
      loop_->RunOnce(absl::Seconds(1));
    }
  }

  const SystemClock clock_;
  const TempFolder folder_;
  std::vector<std::string> notes_;
  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create(clock_).value();
  const std::unique_ptr<Store> store_ =
      Store::Open(folder_.path() + "/db", TrustDomain::Parse("example.org").value()).value();
  WorkQueue storage_;
  ChangeQueue changes_{*loop_, storage_, *store_};
};

TEST_F(ChangeQueueTest, PlansAChangeWhenTheOneBeforeIsDone) {
  changes_.Add(Note("a", absl::OkStatus()));
  changes_.Add(Note("b", absl::OkStatus()));
  RunUntil(4);
  EXPECT_THAT(notes_, ElementsAre("plan a", "done a", "plan b", "done b"));
}

TEST_F(ChangeQueueTest, WritesNothingOfAFailedChangeAndGoesOn) {
  changes_.Add(Note("a", InvalidArgument("no")));
  changes_.Add(Note("b", absl::OkStatus()));
  RunUntil(4);
  EXPECT_THAT(notes_, ElementsAre("plan a", "failed a", "plan b", "done b"));
  const auto tokens = store_->Load().value().tokens;
  ASSERT_THAT(tokens, SizeIs(1));
  EXPECT_EQ(tokens[0].digest, "b");
}

TEST_F(ChangeQueueTest, EndsAChangeThatHasNothingToWriteAtOnce) {
  std::vector<absl::Status> outcomes;
  const auto note = [&](const absl::Status& outcome) { outcomes.push_back(outcome); };
  changes_.Add({.plan = [] { return ChangeQueue::Write(); }, .done = note});
  changes_.Add({.plan = [] { return NotFound("gone"); }, .done = note});
  ASSERT_THAT(outcomes, SizeIs(2));
  EXPECT_OK(outcomes[0]);
  EXPECT_THAT(outcomes[1], StatusIs(StatusCode::kNotFound, "gone"));
}

}  // namespace
}  // namespace assay
