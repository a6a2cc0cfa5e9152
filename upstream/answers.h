// SPDX-License-Identifier: GPL-3.0-or-later
// The upstream's messages as values. Nothing of them is believed: identifiers, certificates and
// keys are parsed by this project's rules.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "spiffe/registration_entry.h"
#include "spiffe/trust_bundle.h"
#include "spire/api/server/svid/v1/svid.pb.h"
#include "spire/api/types/bundle.pb.h"
#include "spire/api/types/entry.pb.h"
#include "spire/api/types/svid.pb.h"
#include "upstream/upstream.h"

namespace assay {

// A bundle that must be of this trust domain. An authority that does not parse is logged and left
// out, unless no X.509 authority is left then.
absl::StatusOr<TrustBundle> BundleOf(const spire::api::types::Bundle& message,
                                     const TrustDomain& trust_domain);

// A bundle's sequence number; nothing for 0, which upstreams give to bundles that have none.
std::optional<uint64_t> NumberOf(const spire::api::types::Bundle& message);

// An entry of this trust domain; InvalidArgument names the field that is malformed.
absl::StatusOr<RegistrationEntry> EntryOf(const spire::api::types::Entry& message,
                                          const TrustDomain& trust_domain);

// The certificates of an SVID, leaf first, at least one.
absl::StatusOr<std::vector<crypto::Certificate>> ChainOf(const spire::api::types::X509SVID& svid);

// The SVID of an agent of this trust domain, which must be of the key that was sent.
absl::StatusOr<AttestationResult> AgentSvidOf(const spire::api::types::X509SVID& message,
                                              const crypto::Signer& key,
                                              const TrustDomain& trust_domain);

// The chain answered to a request, which must be of the request's key and of the SPIFFE ID that it
// names, if it does.
SvidResult SvidOf(const SvidRequest& request,
                  const spire::api::server::svid::v1::BatchNewX509SVIDResponse::Result& answer);

absl::StatusOr<SpiffeId> IdOf(const spire::api::types::SPIFFEID& message);

}  // namespace assay
