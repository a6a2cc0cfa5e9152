// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/workload/name_cache.h"

#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <utility>
#include <vector>

namespace assay {
namespace {

// A group with very many members needs a large buffer.
constexpr size_t kMaxRecordBytes = 4 << 20;

bool SameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

template <typename Record, typename Get>
std::optional<std::string> LookupName(id_t id, Get get, char* Record::*name) {
  std::vector<char> buffer(4 << 10);
  Record record{};
  Record* found = nullptr;
  while (get(id, &record, buffer.data(), buffer.size(), &found) == ERANGE &&
         buffer.size() < kMaxRecordBytes) {
    buffer.resize(buffer.size() * 4);
  }
  return found == nullptr ? std::nullopt : std::make_optional<std::string>(found->*name);
}

}  // namespace

std::optional<std::string> LookupUserName(id_t uid) {
  return LookupName<passwd>(uid, getpwuid_r, &passwd::pw_name);
}

std::optional<std::string> LookupGroupName(id_t gid) {
  return LookupName<group>(gid, getgrgid_r, &group::gr_name);
}

bool NameCache::Knows(id_t id) {
  MutexLock lock(mutex_);
  return Find(id) != nullptr;
}

std::optional<std::string> NameCache::Get(id_t id) {
  {
    MutexLock lock(mutex_);
    if (const Name* known = Find(id)) {
      return known->name;
    }
  }
  Name name{.name = lookup_(id), .asked = clock_.SinceBoot()};
  MutexLock lock(mutex_);
  const auto [at, added] = names_.insert_or_assign(id, std::move(name));
  if (added) {
    by_age_.push_back(id);
  }
  const std::optional<std::string> result = at->second.name;
  if (names_.size() > kMaxNames) {
    names_.erase(by_age_.front());
    by_age_.pop_front();
  }
  return result;
}

const NameCache::Name* NameCache::Find(id_t id) {
  ForgetWhenFileChanged();
  const auto found = names_.find(id);
  const bool fresh = found != names_.end() && clock_.SinceBoot() - found->second.asked < kMaxAge;
  return fresh ? &found->second : nullptr;
}

void NameCache::ForgetWhenFileChanged() {
  const absl::Duration now = clock_.SinceBoot();
  if (now - checked_ < kRecheck) {
    return;
  }
  checked_ = now;
  struct stat info {};
  if (stat(file_.c_str(), &info) != 0) {
    info = {};
  }
  if (!SameFile(info, file_info_)) {
    names_.clear();
    by_age_.clear();
    file_info_ = info;
  }
}

}  // namespace assay
