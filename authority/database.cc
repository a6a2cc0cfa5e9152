// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/database.h"

#include <fcntl.h>
#include <sqlite3.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace assay {
namespace {

absl::Status ToStatus(sqlite3* database, int code, std::string_view what) {
  const std::string_view words = sqlite3_errmsg(database);
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return DataLoss("{}: {}; restore the file from a backup", what, words);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return FailedPrecondition("{}: {}; is another authority running on it?", what, words);
    case SQLITE_FULL:
    case SQLITE_IOERR:
      return Unavailable("{}: {}", what, words);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return FailedPrecondition("{}: {}", what, words);
    default:
      return Internal("{}: {}", what, words);
  }
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement& Statement::BindText(int parameter, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), parameter, text.data() == nullptr ? "" : text.data(),
                      text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

Statement& Statement::BindBlob(int parameter, std::string_view bytes) {
  sqlite3_bind_blob64(statement_.get(), parameter, bytes.data() == nullptr ? "" : bytes.data(),
                      bytes.size(), SQLITE_TRANSIENT);
  return *this;
}

Statement& Statement::BindInteger(int parameter, int64_t number) {
  sqlite3_bind_int64(statement_.get(), parameter, number);
  return *this;
}

absl::StatusOr<bool> Statement::Step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) {
    return true;
  }
  absl::Status failure;
  if (code != SQLITE_DONE) {
    failure = ToStatus(sqlite3_db_handle(statement_.get()), code, "database");
  }
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  if (!failure.ok()) {
    return failure;
  }
  return false;
}

absl::Status Statement::Run() { return Step().status(); }

std::string Statement::Text(int column) const { return Blob(column); }

std::string Statement::Blob(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return bytes == nullptr ? std::string() : std::string(bytes, static_cast<size_t>(size));
}

int64_t Statement::Integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

void Database::Close::operator()(sqlite3* database) const { sqlite3_close(database); }

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  // SQLite would make the file readable to others; its log takes over the file's mode.
  if (const UniqueFd made(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
      !made.valid()) {
    return ErrnoStatus(errno, "open " + path);
  }
  sqlite3* opened = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (opened == nullptr) {
    return Internal("database {}: out of memory", path);
  }
  std::unique_ptr<Database> database(new Database(opened));
  if (code != SQLITE_OK) {
    return ToStatus(opened, code, "database " + path);
  }
  if (absl::Status configured = database->Configure(); !configured.ok()) {
    return WithContext(configured, path);
  }
  if (absl::Status sound = database->Check(); !sound.ok()) {
    return WithContext(sound, path);
  }
  return database;
}

absl::Status Database::Configure() {
  sqlite3_extended_result_codes(database_.get(), 1);
  sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  // Exclusive before WAL: the log's index then lives in memory, and a second process is refused.
  RETURN_IF_ERROR(Execute("PRAGMA locking_mode = EXCLUSIVE"));
  RETURN_IF_ERROR(Execute("PRAGMA journal_mode = WAL"));
  RETURN_IF_ERROR(Execute("PRAGMA synchronous = FULL"));
  return Execute("BEGIN IMMEDIATE; COMMIT");
}

absl::Status Database::Check() {
  ASSIGN_OR_RETURN(Statement check, Prepare("PRAGMA integrity_check(1)"));
  ASSIGN_OR_RETURN(const bool row, check.Step());
  if (!row || check.Text(0) != "ok") {
    return DataLoss("database is damaged ({}); restore the file from a backup",
                    row ? Quoted(check.Text(0)) : "no answer");
  }
  return absl::OkStatus();
}

absl::Status Database::Execute(const std::string& sql) {
  const int code = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : ToStatus(database_.get(), code, "database");
}

absl::StatusOr<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) {
    return ToStatus(database_.get(), code, "database");
  }
  return Statement(statement);
}

absl::Status Database::InTransaction(const std::function<absl::Status()>& work) {
  RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
  absl::Status outcome = work();
  if (outcome.ok()) {
    outcome = Execute("COMMIT");
  }
  if (!outcome.ok() && sqlite3_get_autocommit(database_.get()) == 0) {
    // The first failure is the one to tell; a failed rollback shows in the next transaction.
    Execute("ROLLBACK").IgnoreError();
  }
  return outcome;
}

absl::StatusOr<int64_t> Database::UserVersion() {
  ASSIGN_OR_RETURN(Statement version, Prepare("PRAGMA user_version"));
  ASSIGN_OR_RETURN(const bool row, version.Step());
  if (!row) {
    return Internal("database tells no version");
  }
  return version.Integer(0);
}

}  // namespace assay
