// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/workload/unix.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "base/unique_fd.h"

namespace assay {
namespace {

Selector Unix(std::string_view kind, std::string_view value) {
  std::string text;
  text.reserve(kind.size() + 1 + value.size());
  text.append(kind).append(":").append(value);
  return {"unix", std::move(text)};
}

// The number's selector, and the name's where it has one.
void AddId(std::vector<Selector>& selectors, std::string_view number_kind,
           std::string_view name_kind, id_t id, NameCache& names) {
  selectors.push_back(Unix(number_kind, std::to_string(id)));
  if (const std::optional<std::string> name = names.Get(id); name.has_value() && !name->empty()) {
    selectors.push_back(Unix(name_kind, *name));
  }
}

// The file that a path of the process's /proc folder leads to, or of another folder.
std::optional<std::pair<dev_t, ino_t>> FileAt(int folder, const std::string& path) {
  struct stat info {};
  if (fstatat(folder, path.c_str(), &info, 0) != 0) {
    return std::nullopt;
  }
  return std::make_pair(info.st_dev, info.st_ino);
}

// Of the machine's first process; this process's own where that may not be seen.
bool IsInFirstUserNamespace(int folder) {
  auto first = FileAt(AT_FDCWD, "/proc/1/ns/user");
  if (!first.has_value()) {
    first = FileAt(AT_FDCWD, "/proc/self/ns/user");
  }
  return first.has_value() && FileAt(folder, "ns/user") == first;
}

// The file that the path names in the first process's root; in the own one where that may not be
// seen. Links on the way stay inside.
std::optional<std::pair<dev_t, ino_t>> FileInFirstRoot(std::string_view path) {
  UniqueFd root(open("/proc/1/root", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) {
    root.Reset(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const UniqueFd file(static_cast<int>(
      syscall(SYS_openat2, root.get(), std::string(path).c_str(), &how, sizeof(how))));
  struct stat info {};
  if (!file.valid() || fstat(file.get(), &info) != 0) {
    return std::nullopt;
  }
  return std::make_pair(info.st_dev, info.st_ino);
}

}  // namespace

UnixAttestor::UnixAttestor(const Clock& clock, const Options& options)
    : options_(options),
      users_(clock, "/etc/passwd", LookupUserName),
      groups_(clock, "/etc/group", LookupGroupName),
      digests_(clock, std::max<int64_t>(options.workload_size_limit, 0)) {}

bool UnixAttestor::MayBlock(const Subject& subject) {
  const auto& gids = subject.supplementary_gids;
  return !users_.Knows(subject.uid) || !groups_.Knows(subject.gid) ||
         std::any_of(gids.begin(), gids.end(), [this](gid_t gid) { return !groups_.Knows(gid); }) ||
         // Walking a path and reading attributes may wait for a file system far away.
         options_.discover_workload_path;
}

absl::StatusOr<std::vector<Selector>> UnixAttestor::Attest(const Subject& subject) {
  std::vector<Selector> selectors;
  selectors.reserve(6 + 2 * subject.supplementary_gids.size());
  AddId(selectors, "uid", "user", subject.uid, users_);
  AddId(selectors, "gid", "group", subject.gid, groups_);
  for (gid_t gid : subject.supplementary_gids) {
    AddId(selectors, "supplementary_gid", "supplementary_group", gid, groups_);
  }
  if (options_.discover_workload_path) {
    RETURN_IF_ERROR(AddExecutable(subject, selectors));
  }
  return selectors;
}

absl::Status UnixAttestor::AddExecutable(const Subject& subject, std::vector<Selector>& selectors) {
  char path[PATH_MAX];
  const ssize_t size = readlinkat(subject.folder, "exe", path, sizeof(path));
  if (size <= 0 || static_cast<size_t>(size) == sizeof(path)) {
    return ErrnoStatus(size < 0 ? errno : ENAMETOOLONG, "path lookup: reading the link exe");
  }
  if (!IsInFirstUserNamespace(subject.folder)) {
    return absl::OkStatus();
  }
  const std::string_view executable(path, static_cast<size_t>(size));
  if (const auto file = FileAt(subject.folder, "exe");
      file.has_value() && FileInFirstRoot(executable) == file) {
    selectors.push_back(Unix("path", executable));
  }
  if (options_.workload_size_limit >= 0) {
    absl::StatusOr<std::string> digest = digests_.Get(subject);
    RETURN_IF_ERROR(digest.status());
    selectors.push_back(Unix("sha256", *digest));
  }
  return absl::OkStatus();
}

}  // namespace assay
