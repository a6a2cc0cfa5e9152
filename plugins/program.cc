// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "crypto/digest_stream.h"

namespace assay {
namespace {

// Since Linux 6.3 a machine may want to be told of files in memory that are executed; older kernels
// know no such flag.
UniqueFd MakeMemoryFile() {
  constexpr unsigned int kExecutable = 0x10;
  constexpr unsigned int kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd fd(memfd_create("assay-plugin", kFlags | kExecutable));
  if (!fd.valid() && errno == EINVAL) {
    fd.Reset(memfd_create("assay-plugin", kFlags));
  }
  return fd;
}

absl::Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      return ErrnoStatus(errno, "copying a plugin into memory");
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// What is executed of the copy must be what could be executed of the file: its mode, and how its
// file system is mounted, may forbid it.
absl::Status CheckExecutable(int fd, const std::string& path) {
  if (faccessat(fd, "", X_OK, AT_EACCESS | AT_EMPTY_PATH) != 0) {
    return ErrnoStatus(errno, fmt::format("executing plugin {}", path));
  }
  return absl::OkStatus();
}

struct Copy {
  UniqueFd fd;  // Sealed.
  std::string digest;
};

absl::StatusOr<Copy> CopyIntoMemory(int fd, const std::string& path) {
  Copy copy{.fd = MakeMemoryFile(), .digest = {}};
  if (!copy.fd.valid()) {
    return ErrnoStatus(errno, "making a file in memory for a plugin (vm.memfd_noexec forbids it?)");
  }
  crypto::DigestStream digest(crypto::Hash::kSha256);
  std::array<char, 64 << 10> buffer;
  for (int64_t at = 0;;) {
    const ssize_t got = pread(fd, buffer.data(), buffer.size(), at);
    if (got < 0) {
      return ErrnoStatus(errno, fmt::format("reading plugin {}", path));
    }
    if (got == 0) {
      break;
    }
    at += got;
    if (at > PluginProgram::kMaxBytes) {
      return FailedPrecondition("plugin {} is longer than {} bytes, the most for a plugin_checksum",
                                path, PluginProgram::kMaxBytes);
    }
    const std::string_view bytes(buffer.data(), static_cast<size_t>(got));
    digest.Update(bytes);
    RETURN_IF_ERROR(WriteAll(copy.fd.get(), bytes));
  }
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (fcntl(copy.fd.get(), F_ADD_SEALS, kSeals) != 0) {
    return ErrnoStatus(errno, "sealing a plugin in memory");
  }
  copy.digest = digest.Finish();
  return copy;
}

// The descriptor of what is executed.
absl::StatusOr<UniqueFd> CopyOf(int fd, const std::string& path, std::string_view checksum) {
  RETURN_IF_ERROR(CheckPluginChecksum(checksum));
  RETURN_IF_ERROR(CheckExecutable(fd, path));
  ASSIGN_OR_RETURN(const std::string wanted, crypto::HexDecode(checksum));
  ASSIGN_OR_RETURN(Copy copy, CopyIntoMemory(fd, path));
  if (copy.digest != wanted) {
    return PermissionDenied("plugin {} has SHA-256 {}, and not its plugin_checksum", path,
                            crypto::HexEncode(copy.digest));
  }
  return std::move(copy.fd);
}

bool BeginsLikeAScript(int fd) {
  char begin[2] = {};
  return pread(fd, begin, sizeof(begin), 0) == sizeof(begin) && begin[0] == '#' && begin[1] == '!';
}

}  // namespace

absl::Status CheckPluginChecksum(std::string_view checksum) {
  const size_t wanted = 2 * crypto::DigestSize(crypto::Hash::kSha256);
  if (!crypto::HexDecode(checksum).ok()) {
    return InvalidArgument("checksum is not a valid hex string");
  }
  if (checksum.size() != wanted) {
    return InvalidArgument("expected checksum of length {}; got {}", wanted, checksum.size());
  }
  return absl::OkStatus();
}

absl::StatusOr<PluginProgram> PluginProgram::Open(const std::string& path,
                                                  std::string_view checksum) {
  // A pipe in its place must not make the opener wait.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  struct stat info {};
  if (!fd.valid() || fstat(fd.get(), &info) != 0) {
    return ErrnoStatus(errno, fmt::format("opening plugin {}", path));
  }
  if (!S_ISREG(info.st_mode)) {
    return FailedPrecondition("plugin {} is not a regular file", path);
  }
  if (!checksum.empty()) {
    ASSIGN_OR_RETURN(fd, CopyOf(fd.get(), path, checksum));
  }
  std::error_code error;
  std::string absolute = std::filesystem::absolute(path, error).string();
  if (error) {
    return FailedPrecondition("plugin {}: {}", path, error.message());
  }
  const bool is_script = BeginsLikeAScript(fd.get());
  return PluginProgram(std::move(absolute), std::move(fd), is_script);
}

}  // namespace assay
