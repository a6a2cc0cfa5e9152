// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/database.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

class DatabaseTest : public testing::Test {
 protected:
  std::unique_ptr<Database> Open() { return Database::Open(path_).value(); }
  static int64_t Count(Database& database) {
    Statement count = database.Prepare("SELECT count(*) FROM t").value();
    EXPECT_TRUE(count.Step().value());
    return count.Integer(0);
  }
  const TempFolder folder_;
  const std::string path_ = folder_.path() + "/test.sqlite3";
};

TEST_F(DatabaseTest, KeepsWhatWasCommitted) {
  {
    const auto database = Open();
    ASSERT_OK(database->Execute("CREATE TABLE t (a TEXT, b BLOB, c INTEGER)"));
    Statement insert = database->Prepare("INSERT INTO t VALUES (?, ?, ?)").value();
    const std::string bytes("\0\xff", 2);
    ASSERT_OK(insert.BindText(1, "text").BindBlob(2, bytes).BindInteger(3, -7).Run());
  }
  const auto database = Open();
  Statement select = database->Prepare("SELECT a, b, c FROM t").value();
  ASSERT_TRUE(select.Step().value());
  EXPECT_EQ(select.Text(0), "text");
  EXPECT_EQ(select.Blob(1), std::string("\0\xff", 2));
  EXPECT_EQ(select.Integer(2), -7);
  EXPECT_FALSE(select.Step().value());
}

TEST_F(DatabaseTest, LeavesNothingOfAFailedTransaction) {
  const auto database = Open();
  ASSERT_OK(database->Execute("CREATE TABLE t (a TEXT)"));
  const absl::Status outcome = database->InTransaction([&] {
    EXPECT_OK(database->Execute("INSERT INTO t VALUES ('x')"));
    return InvalidArgument("no");
  });
  EXPECT_THAT(outcome, StatusIs(StatusCode::kInvalidArgument, "no"));
  EXPECT_EQ(Count(*database), 0);
  EXPECT_OK(
      database->InTransaction([&] { return database->Execute("INSERT INTO t VALUES ('y')"); }));
  EXPECT_EQ(Count(*database), 1);
}

TEST_F(DatabaseTest, IsItsOwnersFileAlone) {
  const auto database = Open();
  for (const std::string& path : {path_, path_ + "-wal"}) {
    struct stat seen {};
    ASSERT_EQ(stat(path.c_str(), &seen), 0) << path;
    EXPECT_EQ(seen.st_mode & 0777, 0600) << path;
  }
}

TEST_F(DatabaseTest, RefusesASecondOpening) {
  const auto database = Open();
  EXPECT_THAT(Database::Open(path_), StatusIs(StatusCode::kFailedPrecondition,
                                              HasSubstr("is another authority running on it?")));
}

TEST_F(DatabaseTest, RefusesADamagedFile) {
  {
    const auto database = Open();
    ASSERT_OK(database->Execute("CREATE TABLE t (a TEXT)"));
    ASSERT_OK(
        database->Execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                          "WHERE i < 2000) INSERT INTO t SELECT 'row ' || i FROM n"));
  }
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096 + 100);
  file << std::string(4096, 'x');
  file.close();
  EXPECT_THAT(Database::Open(path_), StatusIs(StatusCode::kDataLoss, HasSubstr("from a backup")));
}

TEST_F(DatabaseTest, RefusesAFileThatIsNoDatabase) {
  std::ofstream(path_) << "this is a text that is no database, and longer than its header is";
  EXPECT_THAT(Database::Open(path_), StatusIs(StatusCode::kDataLoss, HasSubstr("not a database")));
}

}  // namespace
}  // namespace assay
