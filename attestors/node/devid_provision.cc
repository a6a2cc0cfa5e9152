// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/devid_provision.h"

#include <sys/stat.h>

#include <memory>
#include <vector>

#include "base/files.h"
#include "crypto/certificate.h"
#include "crypto/issue.h"
#include "crypto/pem.h"
#include "tpm/structures.h"

namespace assay {
namespace {

// The files are nobody else's to read; an agent that root starts has its own user let read them.
constexpr mode_t kFileMode = 0600, kFolderMode = 0755;
constexpr size_t kMaxBlobBytes = 4096;

bool Exists(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0;
}

// A password that was not set has no bytes to copy.
Secret CloneSet(const Secret& secret) { return secret.empty() ? Secret() : secret.Clone(); }

tpm::Passwords Clone(const tpm::Passwords& passwords) {
  return {.owner = CloneSet(passwords.owner),
          .endorsement = CloneSet(passwords.endorsement),
          .devid = CloneSet(passwords.devid)};
}

}  // namespace

DevIdFiles DevIdFiles::In(const std::string& folder) {
  return {.certificate = folder + "/devid.crt.pem",
          .private_blob = folder + "/devid.priv.blob",
          .public_blob = folder + "/devid.pub.blob",
          .request = folder + "/devid.csr.pem"};
}

absl::Status CreateDevIdKey(tpm::Tpm& tpm, const DevIdRequest& request) {
  const DevIdFiles files = DevIdFiles::In(request.folder);
  if (request.common_name.empty()) {
    return InvalidArgument("a DevID needs a subject: the common name is empty");
  }
  for (const std::string& file : {files.private_blob, files.public_blob}) {
    if (Exists(file)) {
      return MakeStatus(absl::StatusCode::kAlreadyExists,
                        fmt::format("{} exists: move the DevID away to make another", file));
    }
  }
  RETURN_IF_ERROR(MakeFolders(request.folder, kFolderMode));
  ASSIGN_OR_RETURN(const tpm::KeyBlobs key, tpm.CreateDevId(request.key_type, request.passwords));
  ASSIGN_OR_RETURN(const std::unique_ptr<crypto::Signer> signer,
                   tpm::MakeDevIdSigner(tpm, key, Clone(request.passwords)));
  ASSIGN_OR_RETURN(
      const std::string csr,
      crypto::MakeCertificateRequest(
          {.subject = {{"CN", request.common_name}}, .uris = {}, .dns_names = {}}, *signer));
  RETURN_IF_ERROR(WriteFileAtomically(files.private_blob, key.private_area, kFileMode));
  RETURN_IF_ERROR(WriteFileAtomically(files.public_blob, key.public_area, kFileMode));
  return WriteFileAtomically(files.request, crypto::PemEncode("CERTIFICATE REQUEST", csr),
                             kFileMode);
}

absl::Status InstallDevIdCertificate(const std::string& folder, const std::string& certificate) {
  const DevIdFiles files = DevIdFiles::In(folder);
  ASSIGN_OR_RETURN(const std::string pem, ReadFile(certificate));
  const absl::StatusOr<std::vector<crypto::Certificate>> chain = crypto::Certificate::ParsePem(pem);
  RETURN_IF_ERROR(WithContext(chain.status(), certificate));
  ASSIGN_OR_RETURN(const std::string blob, ReadFile(files.public_blob, kMaxBlobBytes));
  const absl::StatusOr<tpm::PublicArea> area = tpm::ParsePublicBlob(blob);
  RETURN_IF_ERROR(WithContext(area.status(), files.public_blob));
  const absl::StatusOr<crypto::PublicKey> key = area->Key();
  RETURN_IF_ERROR(WithContext(key.status(), files.public_blob));
  if (chain->front().public_key() != *key) {
    return FailedPrecondition(
        "the first certificate of {} is not for the key of {}: the DevID certificate must come "
        "first",
        certificate, files.public_blob);
  }
  std::string text;
  for (const crypto::Certificate& each : *chain) {
    text += crypto::PemEncode("CERTIFICATE", each.der());
  }
  return WriteFileAtomically(files.certificate, text, kFileMode);
}

}  // namespace assay
