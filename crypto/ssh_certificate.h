// SPDX-License-Identifier: GPL-3.0-or-later
// An OpenSSH certificate (OpenSSH's PROTOCOL.certkeys): a key, whom or what it is for, and the
// signature of a certification authority. Parsing is bounded and proves nothing: Check does.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "crypto/ssh_key.h"

namespace assay::crypto {

class SshCertificate final {
 public:
  static constexpr size_t kMaxBytes = 32 << 10;

  // Its wire form.
  static absl::StatusOr<SshCertificate> Parse(std::string_view blob);
  // A line as in *-cert.pub files: type, base64 of the wire form, and a comment.
  static absl::StatusOr<SshCertificate> ParseLine(std::string_view line);

  const std::string& blob() const { return blob_; }
  const SshPublicKey& key() const { return key_; }
  const SshPublicKey& authority() const { return authority_; }
  const std::vector<std::string>& principals() const { return principals_; }
  // What the authority signed: all before the signature.
  const std::string& signed_part() const { return signed_part_; }
  const SshSignature& signature() const { return signature_; }

  // OK when one of the authorities signed it for a host, and now is in its time: it must not have a
  // critical option but source-address, which is for others to judge. PermissionDenied otherwise.
  absl::Status CheckHost(const std::vector<SshPublicKey>& authorities, absl::Time now) const;

 private:
  SshCertificate(SshPublicKey key, SshPublicKey authority)
      : key_(std::move(key)), authority_(std::move(authority)) {}

  std::string blob_;
  SshPublicKey key_, authority_;
  uint32_t kind_ = 0;
  std::vector<std::string> principals_, critical_options_;
  uint64_t valid_after_ = 0, valid_before_ = 0;  // Unix seconds.
  std::string signed_part_;
  SshSignature signature_;
};

}  // namespace assay::crypto
