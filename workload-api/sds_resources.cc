// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/sds_resources.h"

#include <utility>

#include "base/log.h"
#include "crypto/der_reader.h"
#include "crypto/digest.h"
#include "crypto/pem.h"
#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.pb.h"

namespace assay {
namespace {

namespace tls = envoy::extensions::transport_sockets::tls::v3;

constexpr std::string_view kScheme = "spiffe://";
constexpr const char* kValidator = "envoy.tls.cert_validator.spiffe";
constexpr size_t kVersionBytes = 16;
// What is built, in terms of a name that is looked up, and so many bytes of it.
constexpr size_t kCostToBuild = 16, kBytesAName = 64;

// The certificates of concatenated DER, one PEM block each.
std::string PemOf(std::string_view der) {
  std::string pem;
  crypto::DerReader reader(der);
  while (!reader.AtEnd()) {
    const absl::StatusOr<crypto::DerElement> certificate = reader.ReadAny();
    if (!certificate.ok()) {
      log::Error("Certificates of the identity role do not parse",
                 {{"error", certificate.status()}});
      return "";
    }
    pem += crypto::PemEncode("CERTIFICATE", certificate->whole);
  }
  return pem;
}

std::string VersionOf(std::string_view content) {
  return crypto::HexEncode(crypto::Digest(crypto::Hash::kSha256, content).substr(0, kVersionBytes));
}

Secret Serialized(const tls::Secret& message) {
  std::string bytes = message.SerializeAsString();
  return Secret::TakeFrom(bytes);
}

std::string IdOf(std::string_view trust_domain) {
  return std::string(kScheme) + std::string(trust_domain);
}

// "example.org" of "spiffe://example.org"; empty when it is no trust domain's SPIFFE ID.
std::string_view TrustDomainOf(std::string_view id) {
  if (!id.starts_with(kScheme)) {
    return {};
  }
  id.remove_prefix(kScheme.size());
  return id.find('/') == std::string_view::npos ? id : std::string_view();
}

}  // namespace

bool SdsResources::NamesBundle(std::string_view name) const {
  return !name.empty() &&
         (name == options_.default_bundle_name || name == options_.default_all_bundles_name ||
          !TrustDomainOf(name).empty());
}

SdsResources::Bundles SdsResources::BundlesOf(IdentitySet& identities) const {
  if (identities.empty() && !allow_unauthenticated_verifiers_) {
    return {};
  }
  std::set<std::string_view> names = identities.federates_with();
  names.insert(context_.trust_domain);
  Bundles bundles;
  for (std::string_view name : names) {
    // Nobody is verified by a bundle without authorities.
    if (const ServedState::Bundle* bundle = context_.state.FindBundle(name);
        bundle != nullptr && !bundle->x509_authorities.empty()) {
      bundles[name] = bundle;
    }
  }
  return bundles;
}

SdsResources::Offer::Offer(SdsResources& resources, IdentitySet& identities,
                           SdsValidation validation)
    : resources_(resources),
      identities_(identities),
      validation_(validation),
      bundles_(resources.BundlesOf(identities)),
      built_before_(resources.built_cost_),
      cost_(1 + bundles_.size()) {}

SharedSdsResource SdsResources::Offer::Find(std::string_view name, bool settled) {
  ++cost_;
  if (resources_.NamesBundle(name)) {
    return FindBundles(name);
  }
  if (name == resources_.options_.default_svid_name) {
    return FindDefaultSvid(settled);
  }
  const auto found = svids().find(name);
  return found == svids().end() ? nullptr : resources_.SvidResource(name, found->second);
}

std::vector<SharedSdsResource> SdsResources::Offer::All() {
  std::vector<SharedSdsResource> all;
  for (const auto& [trust_domain, bundle] : bundles_) {
    all.push_back(
        resources_.BundleResource(IdOf(trust_domain), {{trust_domain, bundle}}, validation_));
  }
  for (const auto& [id, slot] : svids()) {
    all.push_back(resources_.SvidResource(id, slot));
  }
  std::erase(all, nullptr);
  return all;
}

const SdsResources::Offer::Svids& SdsResources::Offer::svids() {
  if (!svids_.has_value()) {
    svids_.emplace();
    cost_ += identities_.granted().size();
    for (EntryIndex::Slot slot : identities_.granted()) {
      if (SvidOf(slot) != nullptr) {
        svids_->try_emplace(resources_.context_.state.entries().Get(slot).spiffe_id, slot);
      }
    }
  }
  return *svids_;
}

// Null when it has expired, or there is nothing to verify it by.
const ServedState::Svid* SdsResources::Offer::SvidOf(EntryIndex::Slot slot) const {
  const SdsResources::Context& context = resources_.context_;
  const ServedState::Svid* svid = context.state.FindSvid(slot);
  const bool valid = svid != nullptr && bundles_.contains(context.trust_domain) &&
                     svid->expires_at > absl::ToUnixSeconds(context.clock.Now());
  return valid ? svid : nullptr;
}

SharedSdsResource SdsResources::Offer::FindBundles(std::string_view name) {
  const SdsOptions& options = resources_.options_;
  if (name == options.default_all_bundles_name && name != options.default_bundle_name) {
    cost_ += bundles_.size();
    // Authorities without their trust domains would speak for each other's.
    return bundles_.empty() || validation_ == SdsValidation::kPlain
               ? nullptr
               : resources_.BundleResource(name, bundles_, validation_);
  }
  const auto found = bundles_.find(name == options.default_bundle_name
                                       ? std::string_view(resources_.context_.trust_domain)
                                       : TrustDomainOf(name));
  return found == bundles_.end() ? nullptr : resources_.BundleResource(name, {*found}, validation_);
}

SharedSdsResource SdsResources::Offer::FindDefaultSvid(bool settled) {
  for (EntryIndex::Slot slot : identities_.granted()) {
    ++cost_;
    if (SvidOf(slot) != nullptr) {
      return resources_.SvidResource(resources_.options_.default_svid_name, slot);
    }
    if (!settled) {
      break;
    }
  }
  return nullptr;
}

SharedSdsResource SdsResources::SvidResource(std::string_view name, EntryIndex::Slot slot) {
  const ServedState::Svid& svid = *context_.state.FindSvid(slot);
  return Shared(fmt::format("svid {} {}", svid.version, name), [&]() -> SharedSdsResource {
    const std::string chain = PemOf(svid.chain);
    if (chain.empty()) {
      return nullptr;
    }
    tls::Secret message;
    message.set_name(std::string(name));
    tls::TlsCertificate& certificate = *message.mutable_tls_certificate();
    certificate.mutable_certificate_chain()->set_inline_bytes(chain);
    std::string& key = *certificate.mutable_private_key()->mutable_inline_bytes();
    key = crypto::PemEncode("PRIVATE KEY", svid.key.Reveal());
    Secret bytes = Serialized(message);
    Wipe(key.data(), key.size());
    // The key is that of the leaf: a version says nothing about it.
    return std::make_shared<const SdsResource>(
        SdsResource{std::string(name), VersionOf(fmt::format("{}\n{}", name, chain)),
                    /*is_svid=*/true, X509HandedOut(context_.state.entries().Get(slot), svid),
                    std::move(bytes)});
  });
}

SharedSdsResource SdsResources::BundleResource(std::string_view name, const Bundles& bundles,
                                               SdsValidation validation) {
  std::string key = validation == SdsValidation::kSpiffe ? "spiffe" : "plain";
  for (const auto& [trust_domain, bundle] : bundles) {
    key += fmt::format(" {}", bundle->version);
  }
  return Shared(fmt::format("{} {}", key, name), [&]() -> SharedSdsResource {
    tls::Secret message;
    message.set_name(std::string(name));
    tls::SPIFFECertValidatorConfig config;
    for (const auto& [trust_domain, bundle] : bundles) {
      const std::string pem = PemOf(bundle->x509_authorities);
      if (pem.empty()) {
        return nullptr;
      }
      if (validation == SdsValidation::kPlain) {
        message.mutable_validation_context()->mutable_trusted_ca()->set_inline_bytes(pem);
      } else {
        tls::SPIFFECertValidatorConfig::TrustDomain& added = *config.add_trust_domains();
        added.set_name(std::string(trust_domain));
        added.mutable_trust_bundle()->set_inline_bytes(pem);
      }
    }
    if (validation == SdsValidation::kSpiffe) {
      auto& validator = *message.mutable_validation_context()->mutable_custom_validator_config();
      validator.set_name(kValidator);
      validator.mutable_typed_config()->PackFrom(config);
    }
    Secret bytes = Serialized(message);
    std::string version = VersionOf(bytes.Reveal());
    return std::make_shared<const SdsResource>(SdsResource{std::string(name),
                                                           std::move(version),
                                                           /*is_svid=*/false,
                                                           {},
                                                           std::move(bytes)});
  });
}

SharedSdsResource SdsResources::Shared(std::string key,
                                       const std::function<SharedSdsResource()>& build) {
  if (const auto found = built_.find(key); found != built_.end()) {
    if (SharedSdsResource resource = found->second.lock()) {
      return resource;
    }
  }
  if (built_.size() >= sweep_at_) {
    std::erase_if(built_, [](const auto& one) { return one.second.expired(); });
    sweep_at_ = 2 * built_.size() + 256;
  }
  SharedSdsResource resource = build();
  built_cost_ += kCostToBuild + (resource == nullptr ? 0 : resource->bytes.size() / kBytesAName);
  built_.insert_or_assign(std::move(key), resource);
  return resource;
}

}  // namespace assay
