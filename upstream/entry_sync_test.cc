// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <utility>

#include "base/clock.h"
#include "spire/api/server/entry/v1/entry.pb.h"
#include "tests/support/fake_upstream.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_ca.h"
#include "upstream/upstream.h"

namespace assay {
namespace {

namespace entry = spire::api::server::entry::v1;
namespace types = spire::api::types;
using absl::StatusCode;
using testing::HasSubstr;
using Request = entry::SyncAuthorizedEntriesRequest;
using Response = entry::SyncAuthorizedEntriesResponse;
using Answer = StreamAnswer<Response>;

// The kernel's clock, moved on.
class MovedClock final : public Clock {
 public:
  absl::Time Now() const override { return system_.Now(); }
  absl::Duration SinceBoot() const override {
    return system_.SinceBoot() + absl::Seconds(seconds_.load());
  }
  void Move(int seconds) { seconds_ += seconds; }

 private:
  const SystemClock system_;
  std::atomic<int> seconds_ = 0;
};

// Holds entries by their revision, as an agent does.
class FakeStore final : public EntrySink {
 public:
  bool NeedsEntry(const EntryRevision& revision) override {
    seen.insert(revision.id);
    const auto found = entries.find(revision.id);
    return found == entries.end() || found->second.revision_number != revision.revision_number ||
           found->second.created_at != revision.created_at;
  }
  void OnEntry(RegistrationEntry taken) override {
    ++taken_count;
    seen.insert(taken.id);
    entries.insert_or_assign(taken.id, std::move(taken));
  }

  std::map<std::string, RegistrationEntry> entries;
  std::set<std::string> seen;
  int taken_count = 0;
};

types::Entry MakeMessage(const std::string& id) {
  types::Entry message;
  message.set_id(id);
  message.mutable_spiffe_id()->set_trust_domain("example.org");
  message.mutable_spiffe_id()->set_path("/" + id);
  types::Selector& selector = *message.add_selectors();
  selector.set_type("unix");
  selector.set_value("uid:1");
  message.set_created_at(5);
  return message;
}

std::string Numbered(int number) { return fmt::format("e{:05}", number); }

// Serves entries in the reference's way, in pages of three.
class EntrySyncTest : public testing::Test {
 protected:
  static constexpr size_t kPage = 3;

  EntrySyncTest() : server_(ca_) {
    server_.OnStream<Request, Response>("/spire.api.server.entry.v1.Entry/SyncAuthorizedEntries",
                                        [this](const Request& request) {
                                          requests_.push_back(request);
                                          return answer_ ? answer_(request) : Serve(request);
                                        });
    server_.On<entry::GetAuthorizedEntriesRequest, entry::GetAuthorizedEntriesResponse>(
        "/spire.api.server.entry.v1.Entry/GetAuthorizedEntries",
        [this](const entry::GetAuthorizedEntriesRequest& request,
               rpc::Call&) -> absl::StatusOr<entry::GetAuthorizedEntriesResponse> {
          ++lists_;
          EXPECT_TRUE(request.output_mask().selectors());
          entry::GetAuthorizedEntriesResponse all;
          for (const auto& [id, message] : entries_) {
            *all.add_entries() = message;
          }
          return all;
        });
    server_.Start();
    client_ = MakeClient(/*use_sync_authorized_entries=*/true);
  }

  std::unique_ptr<Upstream> MakeClient(bool use_sync_authorized_entries) {
    auto client = MakeUpstream({.addresses = {"127.0.0.1"},
                                .port = server_.port(),
                                .trust_domain = ca_.trust_domain(),
                                .use_sync_authorized_entries = use_sync_authorized_entries,
                                .max_sync_items = 1000,
                                .call_deadline = absl::Minutes(10)},
                               clock_);
    client->SetBundle(ca_.Bundle());
    return client;
  }

  Answer Serve(const Request& request) const {
    if (request.ids().empty() && entries_.size() <= kPage) {
      Response all;
      for (const auto& [id, message] : entries_) {
        *all.add_entries() = message;
      }
      return {.messages = {all}, .finish = absl::OkStatus()};
    }
    Answer answer;
    if (request.ids().empty()) {
      for (const auto& [id, message] : entries_) {
        entry::EntryRevision& revision = *Page(answer, [](const Response& page) {
                                            return page.entry_revisions_size();
                                          }).add_entry_revisions();
        revision.set_id(id);
        revision.set_revision_number(message.revision_number());
        revision.set_created_at(message.created_at());
      }
      return answer;
    }
    for (const std::string& id : request.ids()) {
      if (entries_.contains(id)) {
        *Page(answer, [](const Response& page) { return page.entries_size(); }).add_entries() =
            entries_.at(id);
      }
    }
    if (answer.messages.empty()) {
      answer.messages.emplace_back();
    }
    return answer;
  }
  // The page with room.
  static Response& Page(Answer& answer, int (*size)(const Response&)) {
    if (answer.messages.empty() || size(answer.messages.back()) == static_cast<int>(kPage)) {
      if (!answer.messages.empty()) {
        answer.messages.back().set_more(true);
      }
      answer.messages.emplace_back();
    }
    return answer.messages.back();
  }

  void Fill(int count) {
    for (int i = 0; i < count; ++i) {
      entries_[Numbered(i)] = MakeMessage(Numbered(i));
    }
  }
  absl::Status Sync() {
    requests_.clear();
    store_.seen.clear();
    store_.taken_count = 0;
    return client_->Sync(store_);
  }

  MovedClock clock_;
  const TestCa ca_;
  std::map<std::string, types::Entry> entries_;
  std::function<Answer(const Request&)> answer_;
  std::vector<Request> requests_;
  int lists_ = 0;
  FakeUpstream server_;  // After what its thread uses.
  FakeStore store_;
  std::unique_ptr<Upstream> client_;
};

TEST_F(EntrySyncTest, FewEntriesComeAtOnce) {
  for (int count : {0, 1, 3}) {
    Fill(count);
    ASSERT_OK(Sync());
    EXPECT_EQ(store_.entries.size(), static_cast<size_t>(count));
    EXPECT_EQ(store_.seen.size(), static_cast<size_t>(count));
  }
}

TEST_F(EntrySyncTest, AsksForTheFieldsThatAnAgentUses) {
  ASSERT_OK(Sync());
  ASSERT_EQ(requests_.size(), 1u);
  EXPECT_TRUE(requests_[0].ids().empty());
  EXPECT_EQ(requests_[0].output_mask().ShortDebugString(),
            "spiffe_id: true selectors: true federates_with: true admin: true downstream: true "
            "revision_number: true store_svid: true hint: true created_at: true "
            "additional_attributes: true");
}

TEST_F(EntrySyncTest, ManyEntriesComeByTheirRevisions) {
  Fill(11);
  ASSERT_OK(Sync());
  EXPECT_EQ(store_.entries.size(), 11u);
  ASSERT_EQ(requests_.size(), 5u);
  for (size_t page = 0; page < 4; ++page) {
    const Request& request = requests_[page + 1];
    EXPECT_EQ(static_cast<size_t>(request.ids_size()), page < 3 ? kPage : 2u);
    EXPECT_EQ(request.ids(0), Numbered(static_cast<int>(page * kPage)));
    EXPECT_FALSE(request.has_output_mask());
  }
}

TEST_F(EntrySyncTest, AnAnswerMayComeInSeveralMessages) {
  Fill(4);
  answer_ = [this](const Request& request) {
    if (request.ids().empty()) {
      return Serve(request);
    }
    Answer answer;
    for (const std::string& id : request.ids()) {
      Response& message = answer.messages.emplace_back();
      *message.add_entries() = entries_.at(id);
      message.set_more(true);
    }
    answer.messages.back().set_more(false);
    return answer;
  };
  ASSERT_OK(Sync());
  EXPECT_EQ(store_.entries.size(), 4u);
}

TEST_F(EntrySyncTest, OnlyWhatChangedIsAskedForAgain) {
  Fill(10);
  ASSERT_OK(Sync());
  ASSERT_OK(Sync());
  EXPECT_EQ(requests_.size(), 1u);
  EXPECT_EQ(store_.taken_count, 0);
  entries_[Numbered(9)].set_revision_number(1);
  entries_[Numbered(2)].set_created_at(6);
  entries_.erase(Numbered(0));
  ASSERT_OK(Sync());
  EXPECT_EQ(store_.taken_count, 2);
  EXPECT_EQ(store_.entries.at(Numbered(9)).revision_number, 1);
  EXPECT_EQ(store_.seen.size(), 9u);
  EXPECT_FALSE(store_.seen.contains(Numbered(0)));
}

TEST_F(EntrySyncTest, EntriesCarryAllTheirFields) {
  types::Entry message = MakeMessage("full");
  message.set_revision_number(4);
  message.set_hint("hint");
  message.set_admin(true);
  message.set_downstream(true);
  message.set_store_svid(true);
  message.add_federates_with("b.test");
  message.mutable_additional_attributes()->set_jwt_svid_include_jti(true);
  *message.add_selectors() = message.selectors(0);
  entries_["full"] = message;
  ASSERT_OK(Sync());
  const RegistrationEntry& got = store_.entries.at("full");
  EXPECT_EQ(got.spiffe_id.ToString(), "spiffe://example.org/full");
  EXPECT_EQ(got.selectors, (std::vector<Selector>{{"unix", "uid:1"}}));
  EXPECT_EQ(got.federates_with.at(0).name(), "b.test");
  EXPECT_EQ(got.hint, "hint");
  EXPECT_EQ(got.revision_number, 4);
  EXPECT_EQ(got.created_at, 5);
  EXPECT_TRUE(got.admin && got.downstream && got.store_svid && got.jwt_svid_include_jti);
  EXPECT_FALSE(got.disable_x509_svid_prefetch);
}

TEST_F(EntrySyncTest, MalformedEntriesAreLeftOut) {
  // WLAPI-20
  const std::function<void(types::Entry&)> kBreaks[] = {
      [](auto& e) { e.clear_id(); },
      [](auto& e) { e.clear_spiffe_id(); },
      [](auto& e) { e.mutable_spiffe_id()->set_path("no-slash"); },
      [](auto& e) { e.mutable_spiffe_id()->set_path("/spire/server"); },
      [](auto& e) { e.mutable_spiffe_id()->set_trust_domain("foreign.test"); },
      [](auto& e) { e.clear_selectors(); },
      [](auto& e) { e.mutable_selectors(0)->clear_value(); },
      [](auto& e) { e.add_federates_with("NOT.A.DOMAIN"); },
      [](auto& e) { e.set_revision_number(-1); },
      [](auto& e) { e.set_hint(std::string(1025, 'x')); }};
  for (const auto& break_it : kBreaks) {
    Fill(2);
    break_it(entries_[Numbered(0)]);
    store_.entries.clear();
    ASSERT_OK(Sync());
    EXPECT_EQ(store_.entries.size(), 1u) << entries_[Numbered(0)].ShortDebugString();
  }
}

TEST_F(EntrySyncTest, MalformedRevisionsAreLeftOut) {
  Fill(4);
  entries_[""] = MakeMessage("");
  entries_["negative"] = MakeMessage("negative");
  entries_["negative"].set_revision_number(-1);
  ASSERT_OK(Sync());
  EXPECT_EQ(store_.entries.size(), 4u);
}

TEST_F(EntrySyncTest, MixedPagesAreAnError) {
  Response revisions, mixed;
  revisions.add_entry_revisions()->set_id("a");
  revisions.set_more(true);
  mixed.add_entry_revisions()->set_id("b");
  *mixed.add_entries() = MakeMessage("b");
  answer_ = [&](const Request&) { return Answer{.messages = {revisions, mixed}}; };
  EXPECT_THAT(Sync(), StatusIs(StatusCode::kInternal, HasSubstr("entries among revisions")));
  revisions.set_more(false);
  answer_ = [&](const Request& request) {
    return Answer{.messages = {request.ids().empty() ? revisions : mixed}};
  };
  EXPECT_THAT(Sync(), StatusIs(StatusCode::kInternal, HasSubstr("revisions among entries")));
}

TEST_F(EntrySyncTest, EntriesThatComeTwiceOrUnaskedAreLeftOut) {
  Response twice;
  *twice.add_entries() = MakeMessage("a");
  *twice.add_entries() = MakeMessage("a");
  twice.mutable_entries(1)->mutable_spiffe_id()->set_path("/second");
  *twice.add_entries() = MakeMessage("b");
  answer_ = [&](const Request&) { return Answer{.messages = {twice}, .finish = absl::OkStatus()}; };
  ASSERT_OK(Sync());
  EXPECT_EQ(store_.entries.at("a").spiffe_id.path(), "/a");
  EXPECT_EQ(store_.entries.size(), 2u);
  store_.entries.clear();
  Response revisions, unasked;
  revisions.add_entry_revisions()->set_id("a");
  revisions.add_entry_revisions()->set_id("a");
  *unasked.add_entries() = MakeMessage("b");
  *unasked.add_entries() = MakeMessage("a");
  answer_ = [&](const Request& request) {
    return Answer{.messages = {request.ids().empty() ? revisions : unasked}};
  };
  ASSERT_OK(Sync());
  EXPECT_EQ(store_.entries.size(), 1u);
  ASSERT_EQ(requests_.size(), 2u);
  EXPECT_EQ(requests_[1].ids_size(), 1) << "a revision that comes twice is asked for once";
}

TEST_F(EntrySyncTest, AnUpstreamThatNeverEndsIsCutOff) {
  Response revisions;
  for (int i = 0; i < 100; ++i) {
    revisions.add_entry_revisions()->set_id("x");
  }
  revisions.set_more(true);
  // The answer is still being made when the sync has ended.
  answer_ = [revisions](const Request&) {
    return Answer{.messages = std::vector<Response>(11, revisions)};
  };
  EXPECT_THAT(Sync(), StatusIs(StatusCode::kInternal, HasSubstr("more than 1000 entries")));
}

TEST_F(EntrySyncTest, AnErrorOfTheUpstreamIsTheSyncs) {
  answer_ = [](const Request&) {
    return Answer{.messages = {}, .finish = PermissionDenied("authorization denied")};
  };
  EXPECT_EQ(Sync(), PermissionDenied("authorization denied"));
  EXPECT_EQ(requests_.size(), 1u);
  Response page;
  page.add_entry_revisions()->set_id("a");
  page.set_more(true);
  answer_ = [&](const Request&) {
    return Answer{.messages = {page}, .finish = Unavailable("shutting down")};
  };
  EXPECT_THAT(Sync(), StatusIs(StatusCode::kUnavailable, HasSubstr("shutting down")));
  answer_ = [&](const Request&) { return Answer{.messages = {page}, .finish = absl::OkStatus()}; };
  EXPECT_THAT(Sync(), StatusIs(StatusCode::kInternal, HasSubstr("in between")));
}

TEST_F(EntrySyncTest, AnUpstreamWithoutTheCallIsAskedForAllEntries) {
  Fill(4);
  answer_ = [](const Request&) {
    return Answer{.messages = {}, .finish = absl::UnimplementedError("unknown method")};
  };
  ASSERT_OK(Sync());
  EXPECT_EQ(requests_.size(), 1u);
  EXPECT_EQ(store_.taken_count, 4);
  ASSERT_OK(Sync());
  EXPECT_TRUE(requests_.empty()) << "it is remembered";
  EXPECT_EQ(lists_, 2);
  clock_.Move(601);
  answer_ = nullptr;
  ASSERT_OK(Sync());
  EXPECT_FALSE(requests_.empty()) << "but not for ever";
  EXPECT_EQ(lists_, 2);
}

TEST_F(EntrySyncTest, AllEntriesAreAskedForWhereTheOperatorWantsIt) {
  Fill(4);
  entries_[Numbered(1)].clear_selectors();
  client_ = MakeClient(/*use_sync_authorized_entries=*/false);
  ASSERT_OK(Sync());
  EXPECT_TRUE(requests_.empty());
  EXPECT_EQ(lists_, 1);
  EXPECT_EQ(store_.taken_count, 3);
}

TEST_F(EntrySyncTest, LargeAnswersPass) {
  types::Entry large = MakeMessage("large");
  for (int i = 0; i < 20'000; ++i) {
    types::Selector& selector = *large.add_selectors();
    selector.set_type("type");
    selector.set_value(fmt::format("some longer value that makes the message large {}", i));
  }
  entries_["large"] = large;
  ASSERT_OK(Sync());
  EXPECT_EQ(store_.entries.at("large").selectors.size(), 20'001u);
}

}  // namespace
}  // namespace assay
