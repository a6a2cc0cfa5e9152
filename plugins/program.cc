// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/program.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "crypto/digest_stream.h"

namespace assay {
namespace {

absl::StatusOr<std::string> DigestOf(int fd, const std::string& path) {
  crypto::DigestStream digest(crypto::Hash::kSha256);
  std::array<char, 64 << 10> buffer;
  for (off_t at = 0;;) {
    const ssize_t got = pread(fd, buffer.data(), buffer.size(), at);
    if (got < 0) {
      return ErrnoStatus(errno, fmt::format("reading plugin {}", path));
    }
    if (got == 0) {
      return digest.Finish();
    }
    digest.Update({buffer.data(), static_cast<size_t>(got)});
    at += got;
  }
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
    RETURN_IF_ERROR(CheckPluginChecksum(checksum));
    ASSIGN_OR_RETURN(const std::string wanted, crypto::HexDecode(checksum));
    ASSIGN_OR_RETURN(const std::string found, DigestOf(fd.get(), path));
    if (found != wanted) {
      return PermissionDenied("plugin {} has SHA-256 {}, and not its plugin_checksum", path,
                              crypto::HexEncode(found));
    }
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
