// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/process_facts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string_view>

#include "base/unique_fd.h"

namespace assay {
namespace {

// 65,536 groups of up to eleven bytes are the most that a process may have.
constexpr size_t kMaxStatusBytes = 1 << 20;
constexpr int kStartTimeField = 22;

absl::StatusOr<std::string> ReadProcFile(int folder, const std::string& path) {
  UniqueFd file(openat(folder, path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) {
    return ErrnoStatus(errno, fmt::format("opening {} of a process", path));
  }
  std::string bytes(4096, '\0');
  size_t used = 0;
  for (;;) {
    const ssize_t got = read(file.get(), bytes.data() + used, bytes.size() - used);
    if (got < 0) {
      return ErrnoStatus(errno, fmt::format("reading {} of a process", path));
    }
    used += static_cast<size_t>(got);
    // These files are given whole into a buffer that has room.
    if (used < bytes.size()) {
      bytes.resize(used);
      return bytes;
    }
    if (bytes.size() >= kMaxStatusBytes) {
      return ResourceExhausted("{} of a process is larger than {} bytes", path, kMaxStatusBytes);
    }
    bytes.resize(bytes.size() * 4);
  }
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
    credentials.groups.push_back(group);
  }
  return credentials;
}

absl::StatusOr<uint64_t> ParseStartTime(std::string_view stat) {
  // The name in parentheses may hold anything, parentheses too: count from the last one.
  const size_t name_end = stat.rfind(')');
  if (name_end == stat.npos) {
    return DataLoss("the stat file of a process has no name");
  }
  std::string_view rest = stat.substr(name_end + 1);
  for (int field = 3; field < kStartTimeField; ++field) {
    rest.remove_prefix(std::min(rest.find(' ', 1), rest.size()));
  }
  uint64_t start_time = 0;
  if (!TakeNumber(rest, start_time)) {
    return DataLoss("the stat file of a process has no start time");
  }
  return start_time;
}

absl::StatusOr<ProcessCredentials> ReadCredentials(int folder, const std::string& path) {
  ASSIGN_OR_RETURN(const std::string status, ReadProcFile(folder, path));
  return ParseStatus(status);
}

absl::StatusOr<uint64_t> ReadStartTime(int folder, const std::string& path) {
  ASSIGN_OR_RETURN(const std::string stat, ReadProcFile(folder, path));
  return ParseStartTime(stat);
}

ExecutableFile ReadExecutable(int folder, const std::string& path) {
  struct stat info {};
  if (fstatat(folder, path.c_str(), &info, 0) != 0) {
    return {};
  }
  return {info.st_dev, info.st_ino};
}

}  // namespace assay
