// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/device.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/unique_fd.h"

namespace assay::tpm {
namespace {

// "tpm" or "tpmrm", then digits.
bool IsNumbered(std::string_view name, std::string_view prefix) {
  if (name.substr(0, prefix.size()) != prefix || name.size() == prefix.size()) {
    return false;
  }
  name.remove_prefix(prefix.size());
  return std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c); });
}

bool IsRawTcti(std::string_view tcti) {
  return tcti.substr(0, 5) == "swtpm" || tcti.substr(0, 5) == "mssim" ||
         (tcti.substr(0, 7) == "device:" && tcti.find("tpmrm") == tcti.npos);
}

bool IsSocket(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
}

absl::StatusOr<TctiChoice> ChooseSocket(const std::string& path) {
  if (path.find(',') != path.npos) {
    return InvalidArgument("socket path {} has a comma, which TCTI strings cannot carry",
                           Quoted(path));
  }
  if (!IsSocket(path + ".ctrl")) {
    return NotFound(
        "swtpm's control socket {}.ctrl is not there: start swtpm with --ctrl "
        "type=unixio,path={}.ctrl",
        path, path);
  }
  return TctiChoice{.tcti = "swtpm:path=" + path, .device = path, .raw = true};
}

}  // namespace

absl::StatusOr<std::string> FindDevice(const std::string& folder) {
  for (const std::string_view prefix : {"tpmrm", "tpm"}) {
    std::vector<std::string> found;
    std::error_code error;
    for (auto entry = std::filesystem::directory_iterator(folder, error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      if (IsNumbered(entry->path().filename().string(), prefix)) {
        found.push_back(entry->path().string());
      }
    }
    if (found.size() > 1) {
      return InvalidArgument("{} has {} TPM devices: set tpm_device_path to one of them", folder,
                             found.size());
    }
    if (found.size() == 1) {
      return found.front();
    }
  }
  return NotFound("no TPM device in {}: is there a TPM 2.0, and its driver loaded?", folder);
}

absl::StatusOr<TctiChoice> ChooseTcti(const std::string& device) {
  struct stat info {};
  if (stat(device.c_str(), &info) != 0) {
    const int error = errno;
    if (device.find('/') == 0 || device.find(':') == device.npos) {
      return ErrnoStatus(error, fmt::format("cannot find the TPM device {}", Quoted(device)));
    }
    return TctiChoice{.tcti = device, .device = device, .raw = IsRawTcti(device)};
  }
  if (S_ISSOCK(info.st_mode)) {
    return ChooseSocket(device);
  }
  if (!S_ISCHR(info.st_mode)) {
    return InvalidArgument("{} is neither a TPM device nor a socket", Quoted(device));
  }
  TctiChoice choice{.tcti = "device:" + device, .device = device};
  choice.raw = IsRawTcti(choice.tcti);
  return choice;
}

absl::Status DiagnoseOpenFailure(const TctiChoice& choice, std::string_view error) {
  constexpr std::string_view kDevice = "device:";
  if (choice.tcti.substr(0, kDevice.size()) == kDevice) {
    const std::string path = choice.tcti.substr(kDevice.size());
    const UniqueFd device(open(path.c_str(), O_RDWR | O_CLOEXEC));
    const int reason = device.valid() ? 0 : errno;
    if (reason == EBUSY) {
      return Unavailable("TPM device {} is in use by another process: use /dev/tpmrm0, or stop it",
                         path);
    }
    if (reason == EACCES || reason == EPERM) {
      return FailedPrecondition("no permission to open TPM device {}: add the user to its group",
                                path);
    }
    if (reason != 0) {
      return ErrnoStatus(reason, fmt::format("cannot open TPM device {}", path));
    }
  }
  return Unavailable("cannot talk to the TPM at {}: {}", Quoted(choice.device), error);
}

}  // namespace assay::tpm
