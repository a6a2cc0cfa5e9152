// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/workload/unix.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>

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

}  // namespace

UnixAttestor::UnixAttestor(const Clock& clock, const Options& options)
    : options_(options),
      users_(clock, "/etc/passwd", LookupUserName),
      groups_(clock, "/etc/group", LookupGroupName),
      digests_(std::max<int64_t>(options.workload_size_limit, 0)) {}

bool UnixAttestor::MayBlock(const Subject& subject) {
  const auto& gids = subject.supplementary_gids;
  return !users_.Knows(subject.uid) || !groups_.Knows(subject.gid) ||
         std::any_of(gids.begin(), gids.end(), [this](gid_t gid) { return !groups_.Knows(gid); }) ||
         (options_.discover_workload_path && options_.workload_size_limit >= 0 &&
          !digests_.Find(subject.folder).has_value());
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
  const std::string_view executable(path, static_cast<size_t>(size));
  selectors.push_back(Unix("path", executable));
  if (options_.workload_size_limit >= 0) {
    absl::StatusOr<std::string> digest = digests_.Get(subject.folder, executable);
    RETURN_IF_ERROR(digest.status());
    selectors.push_back(Unix("sha256", *digest));
  }
  return absl::OkStatus();
}

}  // namespace assay
