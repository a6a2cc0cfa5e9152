// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/ssh_certificate.h"

#include <algorithm>
#include <limits>

#include "crypto/digest.h"

namespace assay::crypto {
namespace {

constexpr std::string_view kWhat = "SSH certificate";
constexpr std::string_view kSuffix = "-cert-v01@openssh.com";
constexpr uint32_t kHost = 2;
constexpr uint64_t kForever = std::numeric_limits<uint64_t>::max();
constexpr size_t kMaxNames = 256;

absl::StatusOr<std::vector<std::string>> ReadNames(std::string_view list) {
  std::vector<std::string> names;
  for (SshReader reader(list); !reader.AtEnd();) {
    ASSIGN_OR_RETURN(const std::string_view name, reader.ReadString("principal"));
    if (names.size() == kMaxNames) {
      return InvalidArgument("{} has more than {} principals", kWhat, kMaxNames);
    }
    names.emplace_back(name);
  }
  return names;
}

// The names of options; their values do not matter here.
absl::StatusOr<std::vector<std::string>> ReadOptions(std::string_view list) {
  std::vector<std::string> names;
  for (SshReader reader(list); !reader.AtEnd();) {
    ASSIGN_OR_RETURN(const std::string_view name, reader.ReadString("option"));
    RETURN_IF_ERROR(reader.ReadString("option").status());
    if (names.size() == kMaxNames || (!names.empty() && names.back() >= name)) {
      return InvalidArgument("{} has too many options, or not in their order", kWhat);
    }
    names.emplace_back(name);
  }
  return names;
}

absl::StatusOr<SshSignature> ParseSignature(std::string_view blob) {
  SshReader reader(blob);
  ASSIGN_OR_RETURN(const std::string_view format, reader.ReadString("signature"));
  ASSIGN_OR_RETURN(const std::string_view bytes, reader.ReadString("signature"));
  RETURN_IF_ERROR(reader.End("signature"));
  return SshSignature{std::string(format), std::string(bytes)};
}

}  // namespace

absl::StatusOr<SshCertificate> SshCertificate::Parse(std::string_view blob) {
  if (blob.size() > kMaxBytes) {
    return InvalidArgument("{} has {} bytes, wanted at most {}", kWhat, blob.size(), kMaxBytes);
  }
  SshReader reader(blob);
  ASSIGN_OR_RETURN(const std::string_view type, reader.ReadString(kWhat));
  if (!type.ends_with(kSuffix)) {
    return InvalidArgument("SSH key of type {} is not a certificate", Quoted(type));
  }
  RETURN_IF_ERROR(reader.ReadString("nonce").status());
  ASSIGN_OR_RETURN(SshPublicKey key,
                   SshPublicKey::Read(type.substr(0, type.size() - kSuffix.size()), reader));
  RETURN_IF_ERROR(reader.ReadUint64("serial").status());
  ASSIGN_OR_RETURN(const uint32_t kind, reader.ReadUint32("type of the certificate"));
  RETURN_IF_ERROR(reader.ReadString("key ID").status());
  ASSIGN_OR_RETURN(const std::string_view principals, reader.ReadString("principals"));
  ASSIGN_OR_RETURN(const uint64_t after, reader.ReadUint64("beginning of validity"));
  ASSIGN_OR_RETURN(const uint64_t before, reader.ReadUint64("end of validity"));
  ASSIGN_OR_RETURN(const std::string_view critical, reader.ReadString("critical options"));
  ASSIGN_OR_RETURN(const std::string_view extensions, reader.ReadString("extensions"));
  RETURN_IF_ERROR(reader.ReadString("reserved part").status());
  ASSIGN_OR_RETURN(const std::string_view authority, reader.ReadString("authority's key"));
  const size_t signed_size = blob.size() - reader.rest().size();
  ASSIGN_OR_RETURN(const std::string_view signature, reader.ReadString("signature"));
  RETURN_IF_ERROR(reader.End(kWhat));
  // A certificate is none of its types, so that none is signed by another one.
  ASSIGN_OR_RETURN(SshPublicKey signer, SshPublicKey::Parse(authority));
  SshCertificate certificate(std::move(key), std::move(signer));
  ASSIGN_OR_RETURN(certificate.principals_, ReadNames(principals));
  ASSIGN_OR_RETURN(certificate.critical_options_, ReadOptions(critical));
  RETURN_IF_ERROR(ReadOptions(extensions).status());
  ASSIGN_OR_RETURN(certificate.signature_, ParseSignature(signature));
  certificate.kind_ = kind;
  certificate.valid_after_ = after;
  certificate.valid_before_ = before;
  certificate.blob_ = blob;
  certificate.signed_part_ = blob.substr(0, signed_size);
  return certificate;
}

absl::StatusOr<SshCertificate> SshCertificate::ParseLine(std::string_view line) {
  const absl::StatusOr<SshLine> parts = ParseSshLine(line);
  if (!parts.ok()) {
    return InvalidArgument("no line of an SSH certificate, such as \"ssh-rsa{} AAAA...\"", kSuffix);
  }
  return Parse(parts->blob);
}

absl::Status SshCertificate::CheckHost(const std::vector<SshPublicKey>& authorities,
                                       absl::Time now) const {
  if (kind_ != kHost) {
    return PermissionDenied("it is not for a host: its type is {}, wanted {}", kind_, kHost);
  }
  if (std::find(authorities.begin(), authorities.end(), authority_) == authorities.end()) {
    return PermissionDenied("no configured authority has its signer's key");
  }
  for (const std::string& option : critical_options_) {
    if (option != "source-address") {
      return PermissionDenied("critical option {} is not supported", Quoted(option));
    }
  }
  const int64_t seconds = absl::ToUnixSeconds(now);
  if (seconds < 0 || static_cast<uint64_t>(seconds) < valid_after_) {
    return PermissionDenied("it is not yet valid");
  }
  if (valid_before_ != kForever && static_cast<uint64_t>(seconds) >= valid_before_) {
    return PermissionDenied("it has expired");
  }
  return WithContext(authority_.Verify(signed_part_, signature_), "signature of its authority");
}

}  // namespace assay::crypto
