// SPDX-License-Identifier: GPL-3.0-or-later
// Trust bundles between the server API's message and ours.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "spiffe/trust_bundle.h"

namespace google::protobuf {
template <typename T>
class RepeatedPtrField;
}
namespace spire::api::types {
class Bundle;
class BundleMask;
class JWTKey;
class X509Certificate;
}  // namespace spire::api::types

namespace assay {

using ProtoX509Authorities = google::protobuf::RepeatedPtrField<spire::api::types::X509Certificate>;
using ProtoJwtAuthorities = google::protobuf::RepeatedPtrField<spire::api::types::JWTKey>;

absl::StatusOr<std::vector<X509Authority>> ParseX509Authorities(const ProtoX509Authorities& sent);
absl::StatusOr<JwtAuthority> ParseJwtAuthority(const spire::api::types::JWTKey& sent);
absl::StatusOr<std::vector<JwtAuthority>> ParseJwtAuthorities(const ProtoJwtAuthorities& sent);
// InvalidArgument with the part that is malformed.
absl::StatusOr<TrustBundle> ParseBundle(const spire::api::types::Bundle& sent);
// What a bundle becomes when the fields of the mask are taken from another.
TrustBundle ApplyUpdate(const TrustBundle& bundle, const TrustBundle& update,
                        const spire::api::types::BundleMask& mask);

// A mask of all fields, which is what an absent one means.
const spire::api::types::BundleMask& AllOfBundle();
// The fields of the mask, and the trust domain.
void ToProto(const TrustBundle& bundle, const spire::api::types::BundleMask& mask,
             spire::api::types::Bundle* out);
void ToProto(const std::vector<JwtAuthority>& authorities, ProtoJwtAuthorities* out);

// The whole bundle as bytes for the disk, and back; bytes that are none are DataLoss.
std::string EncodeBundle(const TrustBundle& bundle);
absl::StatusOr<TrustBundle> DecodeBundle(std::string_view bytes);

}  // namespace assay
