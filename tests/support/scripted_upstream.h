// SPDX-License-Identifier: GPL-3.0-or-later
// An upstream inside the test's own process: it answers what the test sets, signs with an authority
// of its own by the test's clock, and counts what it is asked. Not thread-safe.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "crypto/issue.h"
#include "google/rpc/status.pb.h"
#include "tests/support/test_jwt.h"
#include "upstream/call_status.h"
#include "upstream/upstream.h"

namespace assay {

// A refusal as the upstream's calls carry it; the reason is that of PermissionDeniedDetails.
inline absl::Status RefusedFor(char reason) {
  google::rpc::Status details;
  details.set_code(7);
  google::protobuf::Any& any = *details.add_details();
  any.set_type_url("type.googleapis.com/spire.api.types.PermissionDeniedDetails");
  any.set_value(std::string{'\x08', reason});
  return CallStatus(7, "authorization denied", details.SerializeAsString());
}
inline absl::Status RefusedAsExpired() { return RefusedFor(1); }
inline absl::Status RefusedAsNotAttested() { return RefusedFor(2); }
inline absl::Status RefusedAsBanned() { return RefusedFor(4); }
// An attestation says it without the detail.
inline absl::Status BannedAtAttestation() {
  return CallStatus(7, "failed to attest: agent is banned", {});
}

class ScriptedUpstream final : public Upstream {
 public:
  explicit ScriptedUpstream(const Clock& clock) : clock_(clock) {
    RotateAuthority();
    RotateJwtKey();
  }

  // What it has and how it answers.
  std::vector<RegistrationEntry> entries;
  std::map<std::string, absl::StatusOr<TrustBundle>> federated;
  absl::Duration svid_ttl = absl::Hours(1);
  absl::Duration agent_ttl = absl::Hours(10);
  absl::Duration behind;  // Of its clock.
  bool reattestable = false;
  absl::Duration jwt_ttl = absl::Minutes(5);
  absl::Status mint_status;
  // Changes the claims of each JWT-SVID that is minted.
  std::function<void(nlohmann::json& claims)> change_claims = [](nlohmann::json&) {};
  absl::Status attest_status, renew_status, sync_status, sign_status, bundle_status, post_status;
  std::map<std::string, absl::Status> item_status;  // By the entry's id.
  // Once, before the answer is there.
  std::function<void()> after_signing, after_renewal, after_minting;

  // What it was asked.
  int attests = 0, renews = 0, syncs = 0, bundles = 0, numbers = 0, posts = 0;
  std::vector<std::string> federated_asked;
  std::vector<std::string> minted;  // The entries of each call for a JWT-SVID.
  std::unique_ptr<TestJwtKey> jwt_key;
  absl::Duration attestation_patience;
  std::vector<std::vector<std::string>> batches;  // The entries of each signing call.
  std::optional<X509Svid> svid;                   // As it was set last.
  std::optional<TrustBundle> trusted;             // As it was set last.

  // A new root signs from now on; those before are tainted.
  void RotateAuthority() {
    for (X509Authority& authority : bundle_.x509_authorities) {
      authority.tainted = true;
    }
    root_key_ = crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value();
    crypto::CertificateTemplate what = Template("spiffe://d.test", absl::Hours(10'000));
    what.is_ca = true;
    what.key_usage = crypto::kKeyCertSign | crypto::kCrlSign;
    root_ = std::make_unique<crypto::Certificate>(
        crypto::Certificate::Parse(
            crypto::IssueCertificate(what, root_key_->public_key(), nullptr, *root_key_).value())
            .value());
    roots_.push_back(*root_);
    bundle_.x509_authorities.push_back({*root_, false});
    ++*bundle_.sequence_number;
  }
  // The authorities before the present one are no more.
  void RevokeTainted() {
    std::erase_if(bundle_.x509_authorities, [](const X509Authority& a) { return a.tainted; });
    ++*bundle_.sequence_number;
  }
  // Another upstream took its place: of the same name, with an authority of its own.
  void Replace() {
    bundle_.x509_authorities.clear();
    roots_.clear();
    RotateAuthority();
    bundle_.sequence_number = 1;
  }
  TrustBundle& bundle() { return bundle_; }

  absl::StatusOr<TrustBundle> FetchBundle() override {
    ++bundles;
    RETURN_IF_ERROR(TrustStatus());
    RETURN_IF_ERROR(bundle_status);
    return bundle_;
  }
  absl::StatusOr<TrustBundle> FetchFederatedBundle(const TrustDomain& trust_domain) override {
    const auto at = federated.find(trust_domain.name());
    federated_asked.push_back(trust_domain.name());
    return at == federated.end() ? NotFound("bundle not found") : at->second;
  }
  absl::StatusOr<std::optional<uint64_t>> FetchSequenceNumber(
      const TrustDomain& trust_domain) override {
    ++numbers;
    RETURN_IF_ERROR(TrustStatus());
    if (trust_domain == bundle_.trust_domain) {
      RETURN_IF_ERROR(bundle_status);
      return bundle_.sequence_number;
    }
    const auto at = federated.find(trust_domain.name());
    if (at == federated.end()) {
      return NotFound("bundle not found");
    }
    RETURN_IF_ERROR(at->second.status());
    return at->second->sequence_number;
  }
  absl::StatusOr<AttestationResult> Attest(NodeAttestor& attestor, const crypto::Signer& key,
                                           absl::Duration patience) override {
    ++attests;
    attestation_patience = patience;
    RETURN_IF_ERROR(attestor.Begin().status());
    RETURN_IF_ERROR(attest_status);
    RETURN_IF_ERROR(TrustStatus());
    return AgentSvidFor(key);
  }
  absl::StatusOr<AttestationResult> Renew(const crypto::Signer& key) override {
    ++renews;
    RETURN_IF_ERROR(TrustStatus());
    RETURN_IF_ERROR(renew_status);
    AttestationResult result = AgentSvidFor(key);
    if (const auto hook = std::exchange(after_renewal, nullptr)) {
      hook();
    }
    return result;
  }
  absl::Status Sync(EntrySink& sink) override {
    ++syncs;
    RETURN_IF_ERROR(TrustStatus());
    RETURN_IF_ERROR(sync_status);
    for (const RegistrationEntry& entry : entries) {
      if (sink.NeedsEntry({entry.id, entry.revision_number, entry.created_at})) {
        sink.OnEntry(entry);
      }
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<SvidResult>> SignX509Svids(
      const std::vector<SvidRequest>& requests) override {
    std::vector<SvidResult> results;
    batches.emplace_back();
    for (const SvidRequest& request : requests) {
      batches.back().push_back(request.entry_id);
      const auto failure = item_status.find(request.entry_id);
      if (failure != item_status.end()) {
        results.push_back({failure->second, {}});
        continue;
      }
      const auto csr = crypto::CertificateRequest::Parse(request.csr).value();
      results.push_back({absl::OkStatus(), {Issue(csr.uris.at(0), csr.public_key, svid_ttl)}});
    }
    RETURN_IF_ERROR(sign_status);
    if (const auto hook = std::exchange(after_signing, nullptr)) {
      hook();
    }
    return results;
  }
  absl::StatusOr<MintedJwtSvid> MintJwtSvid(const std::string& entry_id,
                                            const std::vector<std::string>& audience) override {
    minted.push_back(entry_id);
    RETURN_IF_ERROR(mint_status);
    const auto entry =
        std::find_if(entries.begin(), entries.end(),
                     [&](const RegistrationEntry& known) { return known.id == entry_id; });
    if (entry == entries.end()) {
      return NotFound("entry not found or not authorized");
    }
    nlohmann::json claims =
        TestJwtKey::Claims(entry->spiffe_id.ToString(), audience, clock_.Now(), jwt_ttl);
    claims["jti"] = std::to_string(minted.size());
    change_claims(claims);
    Secret token(jwt_key->Token(claims));
    if (const auto hook = std::exchange(after_minting, nullptr)) {
      hook();
    }
    return MintedJwtSvid{.id = entry->spiffe_id,
                         .token = std::move(token),
                         .issued_at = clock_.Now(),
                         .expires_at = clock_.Now() + jwt_ttl};
  }
  // Another key signs JWT-SVIDs from now on, known by the bundle or not.
  void RotateJwtKey(bool is_published = true) {
    for (JwtAuthority& authority : bundle_.jwt_authorities) {
      authority.tainted = true;
    }
    jwt_key = std::make_unique<TestJwtKey>("jwt-" + std::to_string(++jwt_keys_));
    if (is_published) {
      PublishJwtKey();
    }
  }
  void PublishJwtKey() {
    bundle_.jwt_authorities.push_back(jwt_key->authority());
    ++*bundle_.sequence_number;
  }
  absl::Status PostStatus(std::string_view) override {
    ++posts;
    return post_status;
  }
  void SetBundle(const TrustBundle& to) override { trusted = to; }
  void SetSvid(std::optional<X509Svid> to) override { svid = std::move(to); }

 private:
  // Whether the client trusts any authority of this upstream: its connection may be from before
  // the present one.
  absl::Status TrustStatus() const {
    for (const X509Authority& authority :
         trusted.has_value() ? trusted->x509_authorities : bundle_.x509_authorities) {
      if (std::find(roots_.begin(), roots_.end(), authority.certificate) != roots_.end()) {
        return absl::OkStatus();
      }
    }
    return MarkedUntrusted(Unavailable("x509: certificate signed by unknown authority"));
  }

  crypto::CertificateTemplate Template(const std::string& uri, absl::Duration ttl) const {
    return {
        .serial = crypto::RandomSerial(),
        .subject = {{"C", "US"}, {"O", "SPIRE"}},
        .not_before = clock_.Now() - behind - absl::Seconds(10),
        .not_after = clock_.Now() - behind + ttl,
        .uris = {uri},
        .dns_names = {},
        .is_ca = false,
        .key_usage = crypto::kDigitalSignature | crypto::kKeyEncipherment | crypto::kKeyAgreement,
        .extended_key_usage = {std::string(crypto::kServerAuth), std::string(crypto::kClientAuth)}};
  }
  crypto::Certificate Issue(const std::string& uri, const crypto::PublicKey& key,
                            absl::Duration ttl) const {
    return crypto::Certificate::Parse(
               crypto::IssueCertificate(Template(uri, ttl), key, root_.get(), *root_key_).value())
        .value();
  }
  AttestationResult AgentSvidFor(const crypto::Signer& key) const {
    const std::string id = "spiffe://d.test/spire/agent/test/1";
    return {.id = SpiffeId::Parse(id).value(),
            .chain = {Issue(id, key.public_key(), agent_ttl)},
            .reattestable = reattestable};
  }

  const Clock& clock_;
  int jwt_keys_ = 0;
  std::unique_ptr<crypto::PrivateKey> root_key_;
  std::vector<crypto::Certificate> roots_;  // Since it took its place.
  std::unique_ptr<crypto::Certificate> root_;
  TrustBundle bundle_{.trust_domain = TrustDomain::Parse("d.test").value(),
                      .x509_authorities = {},
                      .jwt_authorities = {},
                      .sequence_number = 0,
                      .refresh_hint = {}};
};

}  // namespace assay
