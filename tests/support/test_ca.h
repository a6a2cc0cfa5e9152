// SPDX-License-Identifier: GPL-3.0-or-later
// A certificate authority of a trust domain for tests: a root, and what it issues.
#pragma once

#include <absl/time/clock.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "crypto/certificate.h"
#include "crypto/issue.h"
#include "crypto/key.h"
#include "spiffe/spiffe_id.h"
#include "spiffe/trust_bundle.h"
#include "spiffe/x509_svid.h"

namespace assay {

inline TrustDomain TestDomain(std::string_view name = "example.org") {
  return TrustDomain::Parse(name).value();
}
inline SpiffeId TestId(std::string_view id) { return SpiffeId::Parse(id).value(); }

class TestCa final {
 public:
  // A self-signed authority, valid an hour before now and a day after.
  explicit TestCa(std::string_view trust_domain = "example.org", absl::Time now = absl::Now())
      : trust_domain_(TestDomain(trust_domain)),
        now_(now),
        key_(crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value()),
        certificate_(Issue(CaTemplate(), key_->public_key(), nullptr)) {}
  // An intermediate of parent.
  static TestCa Under(const TestCa& parent) { return TestCa(parent, 0); }

  const crypto::Certificate& certificate() const { return certificate_; }
  const crypto::PrivateKey& key() const { return *key_; }
  const TrustDomain& trust_domain() const { return trust_domain_; }

  TrustBundle Bundle() const {
    return {.trust_domain = trust_domain_,
            .x509_authorities = {{.certificate = certificate_}},
            .jwt_authorities = {},
            .sequence_number = {},
            .refresh_hint = {}};
  }

  // DER of a leaf for this key.
  crypto::Certificate IssueFor(const SpiffeId& id, const crypto::PublicKey& key,
                               absl::Duration ttl = absl::Hours(1)) const {
    crypto::CertificateTemplate what = Template();
    what.uris = {id.ToString()};
    what.not_after = now_ + ttl;
    what.key_usage = crypto::kDigitalSignature | crypto::kKeyEncipherment | crypto::kKeyAgreement;
    what.extended_key_usage = {std::string(crypto::kServerAuth), std::string(crypto::kClientAuth)};
    return Issue(what, key, &certificate_);
  }

  // A leaf, the intermediates below the root included in its chain, with a key of its own.
  X509Svid IssueSvid(const SpiffeId& id, crypto::KeyType type = crypto::KeyType::kEcP256,
                     absl::Duration ttl = absl::Hours(1)) const {
    std::shared_ptr<const crypto::Signer> key = crypto::PrivateKey::Generate(type).value();
    std::vector<crypto::Certificate> chain = {IssueFor(id, key->public_key(), ttl)};
    chain.insert(chain.end(), above_.begin(), above_.end());
    return {.id = id, .chain = std::move(chain), .key = std::move(key)};
  }

 private:
  TestCa(const TestCa& parent, int)
      : trust_domain_(parent.trust_domain_),
        now_(parent.now_),
        key_(crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value()),
        certificate_(parent.Issue(CaTemplate(), key_->public_key(), &parent.certificate_)),
        above_({certificate_}) {
    above_.insert(above_.end(), parent.above_.begin(), parent.above_.end());
  }

  crypto::CertificateTemplate Template() const {
    return {.serial = crypto::RandomSerial(),
            .subject = {{"C", "US"}, {"O", "TEST"}},
            .not_before = now_ - absl::Hours(1),
            .not_after = now_ + absl::Hours(24),
            .uris = {},
            .dns_names = {},
            .is_ca = false,
            .key_usage = 0,
            .extended_key_usage = {}};
  }
  crypto::CertificateTemplate CaTemplate() const {
    crypto::CertificateTemplate what = Template();
    what.subject.push_back({"CN", crypto::HexEncode(what.serial)});
    what.uris = {trust_domain_.IdString()};
    what.is_ca = true;
    what.key_usage = crypto::kKeyCertSign | crypto::kCrlSign;
    return what;
  }
  crypto::Certificate Issue(const crypto::CertificateTemplate& what, const crypto::PublicKey& key,
                            const crypto::Certificate* issuer) const {
    return crypto::Certificate::Parse(crypto::IssueCertificate(what, key, issuer, *key_).value())
        .value();
  }

  TrustDomain trust_domain_;
  absl::Time now_;
  std::unique_ptr<crypto::PrivateKey> key_;
  crypto::Certificate certificate_;
  std::vector<crypto::Certificate> above_;  // What a leaf's chain needs besides itself.
};

}  // namespace assay
