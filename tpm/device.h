// SPDX-License-Identifier: GPL-3.0-or-later
// Which TPM an operator means: a device of the kernel, a socket of swtpm, or a TCTI string as
// tpm2-tss reads it.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace assay::tpm {

struct TctiChoice {
  std::string tcti;    // "device:/dev/tpmrm0"
  std::string device;  // As the operator named it, for messages.
  // Nobody manages the TPM's slots between us and it, so that what a crashed process left there
  // stays there (swtpm, /dev/tpm0).
  bool raw = false;
};

// The only tpmrm* of this folder, else the only tpm*, by its path. NotFound when there is none,
// InvalidArgument when there are several.
absl::StatusOr<std::string> FindDevice(const std::string& folder);

// What to open for this path or TCTI string. NotFound when the path, or the control socket beside a
// swtpm socket, is not there.
absl::StatusOr<TctiChoice> ChooseTcti(const std::string& device);

// Why the device could not be opened: another process has it, permissions, nobody listening.
absl::Status DiagnoseOpenFailure(const TctiChoice& choice, std::string_view error);

}  // namespace assay::tpm
