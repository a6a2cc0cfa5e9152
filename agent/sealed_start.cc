// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/sealed_start.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "assay/roles.pb.h"
#include "base/secret.h"

namespace assay {
namespace {

constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
// A configuration of 1 MiB with its command line.
constexpr size_t kMostBytes = 4 << 20;

absl::Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = write(fd, bytes.data(), bytes.size());
    if (wrote <= 0) {
      return ErrnoStatus(errno, "keeping the configuration in memory");
    }
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return absl::OkStatus();
}

// Wipes the bytes.
absl::StatusOr<UniqueFd> Seal(std::string& bytes) {
  if (bytes.size() > kMostBytes) {
    Wipe(bytes.data(), bytes.size());
    return InvalidArgument("the configuration with the files of its plugins has more than {} bytes",
                           kMostBytes);
  }
  UniqueFd file(memfd_create("assay-config", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid()) {
    return ErrnoStatus(errno, "keeping the configuration in memory");
  }
  const absl::Status written = WriteAll(file.get(), bytes);
  Wipe(bytes.data(), bytes.size());
  RETURN_IF_ERROR(written);
  if (fcntl(file.get(), F_ADD_SEALS, kSeals) != 0) {
    return ErrnoStatus(errno, "sealing the configuration");
  }
  return file;
}

absl::Status Open(int fd, google::protobuf::MessageLite& start) {
  struct stat info {};
  if (fcntl(fd, F_GET_SEALS) != kSeals || fstat(fd, &info) != 0 ||
      static_cast<size_t>(info.st_size) > kMostBytes) {
    return InvalidArgument("the configuration is not in a sealed file of at most {} bytes",
                           kMostBytes);
  }
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  // By place, for all who have the descriptor share its offset.
  size_t used = 0;
  for (ssize_t got = 1; got > 0 && used < bytes.size(); used += static_cast<size_t>(got)) {
    got = pread(fd, bytes.data() + used, bytes.size() - used, static_cast<off_t>(used));
    if (got < 0) {
      return ErrnoStatus(errno, "reading the configuration");
    }
  }
  const bool parsed = start.MergeFromString(bytes);
  Wipe(bytes.data(), bytes.size());
  return parsed ? absl::OkStatus() : InvalidArgument("the configuration's file does not parse");
}

}  // namespace

absl::StatusOr<UniqueFd> SealIdentityStart(std::string_view name, std::string_view text,
                                           const std::vector<std::string>& arguments,
                                           const std::map<std::string, std::string_view>& files) {
  roles::IdentityStart start;
  start.set_config_name(std::string(name));
  start.set_config_text(text.data(), text.size());
  start.mutable_arguments()->Add(arguments.begin(), arguments.end());
  for (const auto& [file, contents] : files) {
    (*start.mutable_files())[file] = std::string(contents);
  }
  std::string bytes = start.SerializeAsString();
  WipeStart(start);
  return Seal(bytes);
}

absl::StatusOr<UniqueFd> SealPluginStart(roles::PluginStart start) {
  std::string bytes = start.SerializeAsString();
  WipeStart(start);
  return Seal(bytes);
}

absl::Status OpenSealedStart(int fd, roles::IdentityStart& start) { return Open(fd, start); }

absl::Status OpenSealedStart(int fd, roles::PluginStart& start) { return Open(fd, start); }

void WipeStart(roles::PluginStart& start) {
  Wipe(start.mutable_data()->data(), start.data().size());
  for (std::string& argument : *start.mutable_arguments()) {
    Wipe(argument.data(), argument.size());
  }
}

void WipeStart(roles::IdentityStart& start) {
  Wipe(start.mutable_config_text()->data(), start.config_text().size());
  for (std::string& argument : *start.mutable_arguments()) {
    Wipe(argument.data(), argument.size());
  }
  for (auto& [file, contents] : *start.mutable_files()) {
    Wipe(contents.data(), contents.size());
  }
}

}  // namespace assay
