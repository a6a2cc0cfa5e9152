// SPDX-License-Identifier: GPL-3.0-or-later
// Giving a node its DevID: a key made in the TPM, a certification request for whoever runs the
// DevID authority, and the certificate installed when it comes back. The files are those that
// tpm_devid takes, here and in spire-agent; all of them are of mode 0600.
#pragma once

#include <string>

#include "base/status.h"
#include "crypto/key.h"
#include "tpm/tpm.h"

namespace assay {

// The files of a DevID in a folder.
struct DevIdFiles {
  std::string certificate;   // devid.crt.pem
  std::string private_blob;  // devid.priv.blob
  std::string public_blob;   // devid.pub.blob
  std::string request;       // devid.csr.pem

  static DevIdFiles In(const std::string& folder);
};

struct DevIdRequest {
  std::string folder;                                   // Made when it is not there.
  crypto::KeyType key_type = crypto::KeyType::kEcP256;  // Or kRsa2048.
  std::string common_name;                              // Of the request's subject.
  tpm::Passwords passwords;
};

// Makes the key, and writes its blobs and the request. AlreadyExists when the folder has a key.
absl::Status CreateDevIdKey(tpm::Tpm& tpm, const DevIdRequest& request);

// Copies the PEM file (the DevID certificate, then its intermediates) to its place in the folder.
// FailedPrecondition when its first certificate is not for the folder's key.
absl::Status InstallDevIdCertificate(const std::string& folder, const std::string& certificate);

}  // namespace assay
