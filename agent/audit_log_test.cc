// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/audit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "agent/audit_lines.h"
#include "agent/audit_verifier.h"
#include "base/files.h"
#include "tests/support/fake_clock.h"
#include "tests/support/full_disk.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class AuditLogTest : public testing::Test {
 protected:
  void Open() {
    auto log = AuditLog::Create(*loop_, clock_, path_, [this] { ++told_; });
    ASSERT_OK(log);
    log_ = *std::move(log);
    log_->BeginSource();
  }
  // A message of one key of this entry.
  static roles::HandedOutKeys Key(const std::string& entry) {
    roles::HandedOutKeys keys;
    keys.mutable_receiver()->set_service("WorkloadAPI");
    keys.mutable_receiver()->set_method("FetchX509SVID");
    keys.mutable_receiver()->set_pid(42);
    roles::HandedOutKey& key = *keys.add_keys();
    key.set_kind(roles::HandedOutKey::X509_SVID);
    key.set_entry_id(entry);
    key.set_spiffe_id("spiffe://example.org/" + entry);
    return keys;
  }
  void Await(const std::function<bool()>& done) {
    for (int i = 0; i < 200 && !done(); ++i) {
      loop_->RunOnce(absl::Milliseconds(50));
    }
    EXPECT_TRUE(done());
  }
  // The entries of the lines, or their kinds where they have none.
  static std::vector<std::string> Lines(const std::string& path) {
    std::vector<std::string> lines;
    std::istringstream text(ReadFile(path).value());
    for (std::string line; std::getline(text, line);) {
      const json object = json::parse(line);
      lines.push_back(object.value("entry", object.value("kind", "")));
    }
    return lines;
  }
  static std::string Verify(const std::vector<std::string>& paths) {
    AuditVerifier verifier;
    return std::string(Message(VerifyAuditFiles(paths, verifier)));
  }

  const TempFolder folder_;
  const std::string path_ = folder_.path() + "/audit.log";
  const FakeClock clock_;
  const SystemClock real_clock_;
  std::unique_ptr<EventLoop> loop_ = EventLoop::Create(real_clock_).value();
  int told_ = 0;
  std::unique_ptr<AuditLog> log_;
};

TEST_F(AuditLogTest, WritesALineForEachKeyAndSaysHowMuchIsWritten) {
  Open();
  roles::HandedOutKeys keys = Key("a");
  keys.add_keys()->set_entry_id("b");
  const uint64_t bytes = keys.ByteSizeLong();
  ASSERT_OK(log_->Take(keys));
  Await([&] { return log_->state().written() == bytes; });
  EXPECT_THAT(Lines(path_), ElementsAre("opened", "a", "b"));
  log_ = nullptr;
  EXPECT_THAT(Lines(path_), ElementsAre("opened", "a", "b", "closed"));
  EXPECT_EQ(Verify({path_}), "");
}

TEST_F(AuditLogTest, WritesWhatWaitsBeforeItIsClosed) {
  Open();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_OK(log_->Take(Key("a")));
  }
  log_ = nullptr;
  EXPECT_THAT(Lines(path_), testing::SizeIs(1002));
  EXPECT_EQ(Verify({path_}), "");
}

TEST_F(AuditLogTest, ANewServeIsNotToldOfWhatTheOldOneSaid) {
  Open();
  ASSERT_OK(log_->Take(Key("old")));
  log_->BeginSource();
  EXPECT_EQ(log_->state().written(), 0U);
  const roles::HandedOutKeys keys = Key("new");
  ASSERT_OK(log_->Take(keys));
  Await([&] { return log_->state().written() > 0; });
  EXPECT_EQ(log_->state().written(), keys.ByteSizeLong());
  EXPECT_THAT(Lines(path_), ElementsAre("opened", "old", "new"));
}

TEST_F(AuditLogTest, TellsOfAFullDiskAndWritesWhenThereIsRoom) {
  Open();
  // What is captured is a file, too, and short beside this one.
  ASSERT_OK(log_->Take(Key(std::string(1000, 'x'))));
  Await([&] { return log_->state().written() > 0; });
  const uint64_t before = log_->state().written();
  testing::internal::CaptureStdout();
  {
    const FullDisk full(ReadFile(path_)->size() + 10);
    ASSERT_OK(log_->Take(Key("a")));
    Await([&] { return log_->state().failing(); });
    ASSERT_OK(log_->Take(Key("b")));
    EXPECT_EQ(log_->state().written(), before);
  }
  Await([&] { return !log_->state().failing() && Lines(path_).size() == 4; });
  EXPECT_THAT(Lines(path_), ElementsAre("opened", testing::SizeIs(1000), "a", "b"));
  const std::string logged = testing::internal::GetCapturedStdout();
  EXPECT_THAT(logged, HasSubstr("Audit log cannot be written"));
  EXPECT_THAT(logged, HasSubstr("Audit log is written again"));
  EXPECT_EQ(Verify({path_}), "");
}

TEST_F(AuditLogTest, AFullDiskIsLeftByARotation) {
  Open();
  // Longer than the next file will be.
  ASSERT_OK(log_->Take(Key(std::string(1000, 'x'))));
  Await([&] { return log_->state().written() > 0; });
  const FullDisk full(ReadFile(path_)->size() + 10);
  ASSERT_OK(log_->Take(Key("a")));
  Await([&] { return log_->state().failing(); });
  std::filesystem::rename(path_, path_ + ".1");
  log_->Reopen();
  Await([&] { return !log_->state().failing(); });
  EXPECT_THAT(Lines(path_), ElementsAre("a", "opened"));
  EXPECT_EQ(Verify({path_ + ".1", path_}), "");
}

TEST_F(AuditLogTest, EndsThoughTheDiskIsFull) {
  Open();
  const FullDisk full(ReadFile(path_)->size() + 10);
  ASSERT_OK(log_->Take(Key("a")));
  log_ = nullptr;
  EXPECT_THAT(Lines(path_), ElementsAre("opened"));
}

TEST_F(AuditLogTest, CountsWhatItHasNoRoomFor) {
  Open();
  const roles::HandedOutKeys large = Key(std::string(7'000, 'x'));
  {
    const FullDisk full(ReadFile(path_)->size() + 10);
    for (size_t bytes = 0; bytes <= AuditLog::kMaxWaiting; bytes += large.ByteSizeLong()) {
      ASSERT_OK(log_->Take(large));
    }
    ASSERT_OK(log_->Take(large));
    EXPECT_GT(log_->state().written(), 0U) << "who told of it need not wait";
    Await([&] { return log_->state().failing(); });
  }
  Await([&] { return !log_->state().failing(); });
  log_ = nullptr;
  const std::string text = ReadFile(path_, 1 << 30).value();
  EXPECT_THAT(text.substr(text.rfind("\"time\"", text.size() - 400)),
              HasSubstr("\"kind\":\"unwritten\",\"count\":2,"));
  EXPECT_EQ(Verify({path_}), "");
}

TEST_F(AuditLogTest, RefusesWhatNoServeRoleSays) {
  Open();
  roles::HandedOutKeys keys = Key("a");
  keys.mutable_keys(0)->set_entry_id(std::string(kMaxHandedOutBytes, 'x'));
  EXPECT_THAT(log_->Take(keys), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("bytes")));
}

TEST(AuditLinesTest, HasAllThatIsKnown) {
  roles::Receiver receiver;
  receiver.set_service("WorkloadAPI");
  receiver.set_method("FetchJWTSVID");
  receiver.set_pid(42);
  receiver.set_uid(1000);
  receiver.set_executable_sha256("abcd");
  receiver.set_for_pid(43);
  receiver.mutable_origin()->set_start_ticks(77);
  receiver.mutable_origin()->set_started_at_ms(1'700'000'000'120);
  receiver.mutable_origin()->set_cgroup("/x\xff\n");
  roles::HandedOutKey key;
  key.set_kind(roles::HandedOutKey::JWT_SVID);
  key.set_entry_id("e\"");
  key.set_spiffe_id("spiffe://example.org/a");
  key.set_expires_at(1'800'000'060);
  key.add_audience("\xc3\xa9");
  key.set_jti("j");
  EXPECT_EQ(HandedOutLine(absl::FromUnixSeconds(1'800'000'000), receiver, key),
            R"({"time":"2027-01-15T08:00:00.000000Z","kind":"jwt_svid","service":"WorkloadAPI",)"
            R"("method":"FetchJWTSVID","pid":42,"pid_started":"2023-11-14T22:13:20.12Z",)"
            R"("pid_start_ticks":77,"uid":1000,"executable_sha256":"abcd","cgroup":"/x\ufffd\n",)"
            R"("for_pid":43,)"
            R"("entry":"e\"","spiffe_id":"spiffe://example.org/a","audience":["\u00e9"],)"
            R"("jti":"j","expires":"2027-01-15T08:01:00Z")");
}

TEST(AuditLinesTest, TheLongestOfAllIsALine) {
  roles::HandedOutKey key;
  key.set_entry_id(std::string(kMaxHandedOutBytes - 8, '\x01'));
  roles::HandedOutKeys keys;
  *keys.add_keys() = key;
  ASSERT_OK(CheckHandedOut(keys));
  const SealedAuditLine line =
      SealAuditLine(HandedOutLine(absl::UnixEpoch(), {}, key), NoAuditLine());
  EXPECT_OK(ParseAuditLine(line.text.substr(0, line.text.size() - 1)));
}

}  // namespace
}  // namespace assay
