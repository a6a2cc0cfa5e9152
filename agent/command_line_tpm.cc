// SPDX-License-Identifier: GPL-3.0-or-later
// tpm provision.
#include <ostream>

#include "agent/command_line_command.h"
#include "attestors/node/devid_provision.h"
#include "base/files.h"

namespace assay {
namespace {

struct ProvisionFlags {
  std::string device, folder, certificate, common_name, devid_password_file, owner_password_file;
  std::string key_type = "ec-p256";

  void AddTo(Arguments& arguments);
};

void ProvisionFlags::AddTo(Arguments& arguments) {
  arguments.Add("device", device,
                "TPM device, swtpm socket or TCTI string (default: the only /dev/tpmrm*)");
  arguments.Add("dir", folder, "Folder of the DevID's files");
  arguments.Add("keyType", key_type, "Type of the DevID key, ec-p256 or rsa-2048");
  arguments.Add("subject", common_name, "Common name in the certification request");
  arguments.Add("devidPasswordFile", devid_password_file,
                "File with the password that the DevID key gets (optional)");
  arguments.Add("ownerPasswordFile", owner_password_file,
                "File with the TPM's owner hierarchy password (optional)");
  arguments.Add("certificate", certificate,
                "PEM file to install as the DevID certificate, instead of making a key");
}

// A password on one line of a file; none when no file is named.
absl::StatusOr<Secret> PasswordFrom(const std::string& path) {
  if (path.empty()) {
    return Secret();
  }
  ASSIGN_OR_RETURN(const Secret text, ReadSecretFile(path));
  std::string_view line = text.Reveal();
  return Secret(line.substr(0, line.find('\n')));
}

absl::Status MakeKey(const ProvisionFlags& flags) {
  DevIdRequest request;
  request.folder = flags.folder;
  request.common_name = flags.common_name;
  ASSIGN_OR_RETURN(request.key_type, crypto::ParseKeyType(flags.key_type));
  ASSIGN_OR_RETURN(request.passwords.devid, PasswordFrom(flags.devid_password_file));
  ASSIGN_OR_RETURN(request.passwords.owner, PasswordFrom(flags.owner_password_file));
  ASSIGN_OR_RETURN(const std::unique_ptr<tpm::Tpm> tpm, tpm::Tpm::Open({.device = flags.device}));
  return CreateDevIdKey(*tpm, request);
}

absl::Status Provision(const ProvisionFlags& flags, std::ostream& out) {
  if (flags.folder.empty()) {
    return InvalidArgument("-dir is required: the folder of the DevID's files");
  }
  const DevIdFiles files = DevIdFiles::In(flags.folder);
  if (!flags.certificate.empty()) {
    RETURN_IF_ERROR(InstallDevIdCertificate(flags.folder, flags.certificate));
    out << "DevID certificate installed: " << files.certificate << "\n";
    return absl::OkStatus();
  }
  if (flags.common_name.empty()) {
    return InvalidArgument("-subject is required: the common name in the certification request");
  }
  RETURN_IF_ERROR(MakeKey(flags));
  out << "DevID key made in the TPM: " << files.public_blob << ", " << files.private_blob << "\n"
      << "Certification request:     " << files.request << "\n"
      << "Have it signed by the DevID authority, then run this again with -certificate.\n";
  return absl::OkStatus();
}

}  // namespace

int ProvisionCommand(const CommandArguments& arguments, const CommandStreams& streams) {
  Arguments parsed("tpm provision");
  ProvisionFlags flags;
  flags.AddTo(parsed);
  if (const absl::Status status = parsed.Parse(arguments); !status.ok()) {
    return Misused(status, parsed.Usage(), streams);
  }
  if (const absl::Status status = Provision(flags, streams.out); !status.ok()) {
    streams.err << Message(status) << "\n";
    return 1;
  }
  return 0;
}

}  // namespace assay
