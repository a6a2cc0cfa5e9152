// SPDX-License-Identifier: GPL-3.0-or-later
// An SQLite database in one file: mode 0600, write-ahead log, every commit synced, checked for
// damage when it is opened, and held by one process alone. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace assay {

// A prepared statement. Parameters and columns count from 1 and 0, as SQLite has it.
class Statement final {
 public:
  Statement(Statement&&) = default;
  Statement& operator=(Statement&&) = default;

  Statement& BindText(int parameter, std::string_view text);
  Statement& BindBlob(int parameter, std::string_view bytes);
  Statement& BindInteger(int parameter, int64_t number);

  // Runs to the next row; false when there is none, and then the statement can be bound anew.
  absl::StatusOr<bool> Step();
  // Runs a statement that gives no rows.
  absl::Status Run();
  std::string Text(int column) const;
  std::string Blob(int column) const;
  int64_t Integer(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Database final {
 public:
  // Opens or makes the file. DataLoss when it is damaged, FailedPrecondition when another process
  // has it.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs statements without parameters.
  absl::Status Execute(const std::string& sql);
  // The SQL must outlive nothing; the statement must not outlive the database.
  absl::StatusOr<Statement> Prepare(std::string_view sql);
  // Commits when work is OK, and leaves nothing of it otherwise.
  absl::Status InTransaction(const std::function<absl::Status()>& work);
  // The number that migrations are counted by, 0 in a new file.
  absl::StatusOr<int64_t> UserVersion();

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  explicit Database(sqlite3* database) : database_(database) {}
  absl::Status Configure();
  absl::Status Check();

  const std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace assay
