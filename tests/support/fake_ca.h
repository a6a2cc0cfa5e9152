// SPDX-License-Identifier: GPL-3.0-or-later
// A certificate authority for tests: roots, intermediates and leaves shaped like the reference
// server's, each with the changes that a test asks for, rule-breaking ones included.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "crypto/certificate.h"
#include "crypto/certificate_writer.h"
#include "crypto/issue.h"
#include "crypto/key.h"
#include "tests/support/fake_clock.h"

namespace assay {

// What to do differently. The template is changed first, then the extensions made of it.
struct FakeChanges {
  std::function<void(crypto::CertificateTemplate&)> change = {};
  std::function<void(std::vector<crypto::Extension>&)> change_extensions = {};
  crypto::KeyType key_type = crypto::KeyType::kEcP256;
};

// A certificate with its key, and what a peer needs besides the root: leaf first.
struct FakeIdentity {
  crypto::Certificate certificate;
  std::shared_ptr<const crypto::PrivateKey> key;
  std::vector<crypto::Certificate> chain;
};

// Takes the place of the extension with this identifier, or comes after the others.
inline void SetExtension(std::vector<crypto::Extension>& extensions, crypto::Extension with) {
  for (crypto::Extension& extension : extensions) {
    if (extension.oid == with.oid) {
      extension = std::move(with);
      return;
    }
  }
  extensions.push_back(std::move(with));
}
inline void RemoveExtension(std::vector<crypto::Extension>& extensions, std::string_view oid) {
  std::erase_if(extensions, [oid](const crypto::Extension& e) { return e.oid == oid; });
}

class FakeCa final {
 public:
  // A self-signed root of a trust domain, valid from an hour before now to a day after.
  static FakeCa Root(std::string_view trust_domain = "example.org", absl::Time now = FakeNow(),
                     const FakeChanges& changes = {}) {
    crypto::CertificateTemplate what = CaTemplate(trust_domain, now);
    return FakeCa(std::string(trust_domain), now, nullptr, std::move(what), changes);
  }
  // A certificate authority below this one.
  FakeCa Intermediate(const FakeChanges& changes = {}) const {
    return FakeCa(trust_domain_, now_, this, CaTemplate(trust_domain_, now_), changes);
  }
  // A leaf with this URI as its only name.
  FakeIdentity Leaf(std::string_view uri, const FakeChanges& changes = {}) const {
    crypto::CertificateTemplate what = Template(now_);
    what.subject = {{"C", "US"}, {"O", "SPIRE"}};
    what.uris = {std::string(uri)};
    what.key_usage = crypto::kDigitalSignature | crypto::kKeyEncipherment | crypto::kKeyAgreement;
    what.extended_key_usage = {std::string(crypto::kServerAuth), std::string(crypto::kClientAuth)};
    std::shared_ptr<const crypto::PrivateKey> key =
        crypto::PrivateKey::Generate(changes.key_type).value();
    crypto::Certificate certificate =
        Make(std::move(what), key->public_key(), certificate_.get(), *key_, changes);
    std::vector<crypto::Certificate> chain = {certificate};
    chain.insert(chain.end(), above_.begin(), above_.end());
    return {std::move(certificate), std::move(key), std::move(chain)};
  }
  // This authority's name, key and identifier, certified by another one: a cross certificate.
  crypto::Certificate CrossSignedBy(const FakeCa& other, const FakeChanges& changes = {}) const {
    crypto::CertificateTemplate what = CaTemplate(trust_domain_, now_);
    what.subject = subject_;
    return Make(std::move(what), key_->public_key(), other.certificate_.get(), *other.key_,
                changes);
  }

  const crypto::Certificate& certificate() const { return *certificate_; }
  const crypto::PrivateKey& key() const { return *key_; }
  // Intermediates from this one up, without the root; empty for a root.
  const std::vector<crypto::Certificate>& above() const { return above_; }
  absl::Time now() const { return now_; }

 private:
  FakeCa(std::string trust_domain, absl::Time now, const FakeCa* issuer,
         crypto::CertificateTemplate what, const FakeChanges& changes)
      : trust_domain_(std::move(trust_domain)),
        now_(now),
        key_(crypto::PrivateKey::Generate(changes.key_type).value()),
        subject_(what.subject),
        certificate_(std::make_shared<const crypto::Certificate>(
            issuer == nullptr ? Make(std::move(what), key_->public_key(), nullptr, *key_, changes)
                              : Make(std::move(what), key_->public_key(),
                                     issuer->certificate_.get(), *issuer->key_, changes))) {
    if (issuer != nullptr) {
      above_ = {*certificate_};
      above_.insert(above_.end(), issuer->above_.begin(), issuer->above_.end());
    }
  }

  static absl::Time FakeNow() { return FakeClock().Now(); }

  static crypto::CertificateTemplate Template(absl::Time now) {
    return {.serial = crypto::RandomSerial(),
            .subject = {},
            .not_before = now - absl::Hours(1),
            .not_after = now + absl::Hours(24),
            .uris = {},
            .dns_names = {},
            .is_ca = false,
            .key_usage = 0,
            .extended_key_usage = {}};
  }
  static crypto::CertificateTemplate CaTemplate(std::string_view trust_domain, absl::Time now) {
    crypto::CertificateTemplate what = Template(now);
    what.subject = {{"C", "US"}, {"O", "SPIFFE"}, {"SERIALNUMBER", crypto::HexEncode(what.serial)}};
    what.uris = {"spiffe://" + std::string(trust_domain)};
    what.is_ca = true;
    what.key_usage = crypto::kKeyCertSign | crypto::kCrlSign;
    return what;
  }

  static crypto::Certificate Make(crypto::CertificateTemplate what, const crypto::PublicKey& key,
                                  const crypto::Certificate* issuer,
                                  const crypto::Signer& issuer_key, const FakeChanges& changes) {
    if (changes.change) {
      changes.change(what);
    }
    std::vector<crypto::Extension> extensions = ExtensionsFor(what, key, issuer).value();
    if (changes.change_extensions) {
      changes.change_extensions(extensions);
    }
    const std::string subject = crypto::WriteName(what.subject).value();
    const std::string der =
        SignCertificate({.serial = what.serial,
                         .issuer = issuer == nullptr ? subject : issuer->subject(),
                         .subject = subject,
                         .not_before = what.not_before,
                         .not_after = what.not_after,
                         .extensions = std::move(extensions)},
                        key, issuer_key)
            .value();
    return crypto::Certificate::Parse(der).value();
  }

  std::string trust_domain_;
  absl::Time now_;
  std::shared_ptr<const crypto::PrivateKey> key_;
  crypto::DistinguishedName subject_;
  std::shared_ptr<const crypto::Certificate> certificate_;
  std::vector<crypto::Certificate> above_;
};

}  // namespace assay
