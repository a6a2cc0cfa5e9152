// SPDX-License-Identifier: GPL-3.0-or-later
// The node's TPM 2.0, with one owner: a thread that alone talks to it, one whole operation at a
// time. Sessions are salted and their parameters encrypted; every transient object and session is
// flushed on every path; keys that we make are exempt from dictionary-attack protection (noDA); a
// wrong password is tried once and never again. A TPM that only one process can open at a time is
// open only while there is something to do. Thread-safe: calls queue and block the caller.
//
// Errors: NotFound (no such device), Unavailable (busy, gone, failing, or silent: retry later),
// ResourceExhausted (locked out: `tpm2_dictionarylockout -c`), PermissionDenied (wrong password),
// FailedPrecondition (DevID blobs of another TPM or of one that was cleared; no EK certificate),
// Aborted (the blobs of an AK, or of a key of CreateKey, are of another TPM or of one that was
// cleared: make another), InvalidArgument
// (blobs that are no key, a credential for another TPM), each with words that say what to do.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"
#include "crypto/key.h"

namespace assay::tpm {

// A key's two halves as spire-agent keeps them: TPMT_PUBLIC, and the encrypted private part, both
// without the TPM2B size.
struct KeyBlobs {
  std::string public_area;
  std::string private_area;
};

struct Passwords {
  Secret owner;        // Owner hierarchy.
  Secret endorsement;  // Endorsement hierarchy.
  Secret devid;        // The DevID key's own.
};

// What spire-agent's tpm_devid attestor sends of the TPM, bytes as the server expects them.
struct DevIdEvidence {
  std::string devid_public;       // TPMT_PUBLIC
  std::string ek_certificate;     // DER, trailing bytes of the NV index cut off
  std::string ek_public;          // TPMT_PUBLIC
  std::string ak_public;          // TPMT_PUBLIC
  std::string certified_devid;    // TPMS_ATTEST
  std::string certify_signature;  // TPMT_SIGNATURE
};

class Tpm final {
 public:
  struct Options {
    // A device ("/dev/tpmrm0"), a Unix socket of swtpm's data channel, or any TCTI string
    // ("swtpm:path=...", "device:/dev/tpm0", "tabrmd:"). Empty: the only /dev/tpmrm*, else the only
    // /dev/tpm*.
    std::string device;
    // Where it is kept which passwords were refused; empty: in memory alone.
    std::string refused_passwords_path = {};
    // How long an operation may take before the TPM counts as one that does not answer.
    absl::Duration patience = absl::Minutes(2);
    // Told of each operation by its name, "sign", how it ended and how long the TPM took for it, on
    // the thread of the TPM, which one that does not answer keeps: it must own what it uses. May be
    // unset.
    std::function<void(std::string_view operation, const absl::Status& status, absl::Duration time)>
        observe = {};
  };

  static absl::StatusOr<std::unique_ptr<Tpm>> Open(const Options& options);
  ~Tpm();
  Tpm(const Tpm&) = delete;
  Tpm& operator=(const Tpm&) = delete;

  // A new key without a password that signs what it is given, under the owner's storage root key:
  // P-256 with SHA-256, P-384 with SHA-384, or RSA 2048 with RSASSA and RSAPSS.
  absl::StatusOr<KeyBlobs> CreateKey(crypto::KeyType type, const Passwords& passwords);
  // OK when the TPM takes such a key for its own.
  absl::Status CheckKey(const KeyBlobs& key, const Passwords& passwords);
  // Signs a digest with such a key: DER for ECDSA.
  absl::StatusOr<std::string> Sign(const KeyBlobs& key, const crypto::SignatureScheme& scheme,
                                   const std::string& digest, const Passwords& passwords);

  // A new signing key for a DevID under the owner's storage root key (RSA 2048 RSASSA-SHA256, or
  // P-256 ECDSA-SHA256), with passwords.devid as its password when that is not empty.
  absl::StatusOr<KeyBlobs> CreateDevId(crypto::KeyType type, const Passwords& passwords);
  // A new attestation key (restricted, RSA 2048 RSASSA-SHA256) under the RSA storage root key.
  absl::StatusOr<KeyBlobs> CreateAk(const Passwords& passwords);
  // Certifies the DevID by the AK, and gathers the EK and its certificate.
  absl::StatusOr<DevIdEvidence> AttestDevId(const KeyBlobs& devid, const KeyBlobs& ak,
                                            const Passwords& passwords);
  // The secret inside a credential that was made for the EK and the AK's name: both blobs without
  // their TPM2B sizes (TPM2_ActivateCredential).
  absl::StatusOr<std::string> ActivateCredential(const KeyBlobs& ak, const std::string& credential,
                                                 const std::string& secret,
                                                 const Passwords& passwords);
  // Signs a SHA-256 digest with the DevID key: DER for ECDSA, PKCS#1 v1.5 for RSA.
  absl::StatusOr<std::string> SignWithDevId(const KeyBlobs& devid, const std::string& digest,
                                            const Passwords& passwords);

 private:
  class Worker;
  explicit Tpm(std::shared_ptr<Worker> worker);
  // The thread's too, which outlives this when the TPM does not answer.
  const std::shared_ptr<Worker> worker_;
};

// Makes a crypto::Signer of a key in the TPM (P-256 or RSA-2048, SHA-256 only). The Tpm must
// outlive it.
absl::StatusOr<std::unique_ptr<crypto::Signer>> MakeDevIdSigner(Tpm& tpm, KeyBlobs devid,
                                                                Passwords passwords);

// The same of a key of CreateKey.
absl::StatusOr<std::unique_ptr<crypto::Signer>> MakeKeySigner(Tpm& tpm, KeyBlobs key,
                                                              Passwords passwords);

}  // namespace assay::tpm
