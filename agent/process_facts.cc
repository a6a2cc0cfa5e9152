// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/process_facts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string_view>

#include "base/unique_fd.h"

namespace assay {
namespace {

// What of a status file is read: the groups stand in its first lines, and kMaxGroups of them take
// up to eleven bytes each.
constexpr size_t kStatusBytes = 16 << 10;

absl::StatusOr<std::string> ReadStatus(int folder, const std::string& path) {
  UniqueFd file(openat(folder, path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) {
    return errno == ESRCH ? NotFound("{} of a process that is gone", path)
                          : ErrnoStatus(errno, fmt::format("opening {} of a process", path));
  }
  std::string bytes(kStatusBytes, '\0');
  const ssize_t got = read(file.get(), bytes.data(), bytes.size());
  if (got < 0) {
    return errno == ESRCH ? NotFound("{} of a process that is gone", path)
                          : ErrnoStatus(errno, fmt::format("reading {} of a process", path));
  }
  bytes.resize(static_cast<size_t>(got));
  return bytes;
}

// The next number of a line of them, and the line without it; nothing at its end.
template <typename Number>
bool TakeNumber(std::string_view& line, Number& number) {
  const size_t start = line.find_first_not_of(" \t");
  if (start == line.npos) {
    return false;
  }
  line.remove_prefix(start);
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
  line.remove_prefix(static_cast<size_t>(end - line.data()));
  return error == std::errc();
}

// The rest of the line that begins with key, which has a line feed before it.
absl::StatusOr<std::string_view> FindLine(std::string_view text, std::string_view key) {
  const size_t at = text.find(key);
  if (at == text.npos) {
    return DataLoss("the status of a process has no line {}", Quoted(key));
  }
  const std::string_view rest = text.substr(at + key.size());
  return rest.substr(0, rest.find('\n'));
}

// The second of the four numbers of a line Uid or Gid: the effective one.
absl::StatusOr<uint32_t> EffectiveId(std::string_view line) {
  uint32_t real = 0;
  uint32_t effective = 0;
  if (!TakeNumber(line, real) || !TakeNumber(line, effective)) {
    return DataLoss("the status of a process has no effective ID in {}", Quoted(line));
  }
  return effective;
}

}  // namespace

uint64_t ProcessCredentials::GroupsDigest() const {
  uint64_t digest = 14695981039346656037U;  // FNV-1a
  for (gid_t group : groups) {
    digest = (digest ^ group) * 1099511628211U;
  }
  return digest;
}

absl::StatusOr<ProcessCredentials> ParseStatus(std::string_view status) {
  // The first line holds the process's own name, in which the kernel escapes line feeds.
  ASSIGN_OR_RETURN(const std::string_view uids, FindLine(status, "\nUid:"));
  ASSIGN_OR_RETURN(const std::string_view gids, FindLine(status, "\nGid:"));
  ASSIGN_OR_RETURN(std::string_view groups, FindLine(status, "\nGroups:"));
  ProcessCredentials credentials;
  ASSIGN_OR_RETURN(credentials.uid, EffectiveId(uids));
  ASSIGN_OR_RETURN(credentials.gid, EffectiveId(gids));
  for (gid_t group = 0; TakeNumber(groups, group);) {
    if (credentials.groups.size() == ProcessCredentials::kMaxGroups) {
      credentials.has_more_groups = true;
      break;
    }
    credentials.groups.push_back(group);
  }
  return credentials;
}

absl::StatusOr<ProcessCredentials> ReadCredentials(int folder, const std::string& path) {
  ASSIGN_OR_RETURN(const std::string status, ReadStatus(folder, path));
  return ParseStatus(status);
}

absl::StatusOr<ProcessCredentials> ReadOwner(int folder) {
  struct statx info {};
  if (statx(folder, "", AT_EMPTY_PATH, STATX_UID | STATX_GID, &info) != 0) {
    return errno == ENOENT || errno == ESRCH ? NotFound("the folder of a process that is gone")
                                             : ErrnoStatus(errno, "asking whose a process is");
  }
  ProcessCredentials credentials;
  credentials.uid = info.stx_uid;
  credentials.gid = info.stx_gid;
  return credentials;
}

ExecutableFile ReadExecutable(int folder, const std::string& path) {
  struct statx info {};
  if (statx(folder, path.c_str(), AT_STATX_DONT_SYNC, STATX_INO, &info) != 0) {
    return {.device = 0, .inode = 0, .hidden = errno == EACCES || errno == EPERM};
  }
  return {.device = makedev(info.stx_dev_major, info.stx_dev_minor),
          .inode = info.stx_ino,
          .hidden = false};
}

}  // namespace assay
