// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_signer.h"

#include <memory>
#include <utility>

#include "agent/identity_trust.h"
#include "crypto/issue.h"
#include "spiffe/x509_svid.h"

namespace assay {
namespace {

absl::StatusOr<std::string> MakeRequest(const SigningOrder& order, const crypto::PrivateKey& key) {
  return crypto::MakeCertificateRequest(
      {.subject = {{"C", "US"}, {"O", "SPIRE"}}, .uris = {order.spiffe_id}, .dns_names = {}}, key);
}

// The SVID in an answer, when it is of the order and its key, and others will accept it.
absl::Status TakeSvid(const SvidResult& answer, const crypto::PrivateKey& key,
                      const SigningTrust& trust, SignedSvid& result) {
  RETURN_IF_ERROR(answer.status);
  ASSIGN_OR_RETURN(const SpiffeId id, SpiffeId::Parse(result.order.spiffe_id));
  RETURN_IF_ERROR(CheckIssuedSvid(answer.chain, id, key.public_key()));
  const absl::Status trusted = CheckTrusted(answer.chain, trust.bundle, trust.clock.Now());
  result.is_untrusted = !trusted.ok();
  RETURN_IF_ERROR(trusted);
  const crypto::Certificate& leaf = answer.chain.front();
  result.validity = {leaf.not_before(), leaf.not_after()};
  result.svid.chain = crypto::Concatenate(answer.chain);
  result.svid.key = key.pkcs8().Clone();
  result.svid.authority_key_id = answer.chain.back().authority_key_id();
  result.svid.expires = leaf.not_after();
  return absl::OkStatus();
}

}  // namespace

SignedBatch SignBatch(Upstream& upstream, crypto::KeyType key_type, const SigningTrust& trust,
                      std::vector<SigningOrder> orders) {
  SignedBatch batch{.status = absl::OkStatus(), .results = {}};
  std::vector<std::unique_ptr<crypto::PrivateKey>> keys;
  std::vector<SvidRequest> requests;
  for (const SigningOrder& order : orders) {
    absl::StatusOr<std::unique_ptr<crypto::PrivateKey>> key =
        crypto::PrivateKey::Generate(key_type);
    absl::StatusOr<std::string> request =
        key.ok() ? MakeRequest(order, **key) : absl::StatusOr<std::string>(key.status());
    if (!request.ok()) {
      batch.status = WithContext(request.status(), "making a certification request");
      return batch;
    }
    keys.push_back(*std::move(key));
    requests.push_back({.entry_id = order.entry_id, .csr = *std::move(request)});
  }
  const absl::StatusOr<std::vector<SvidResult>> answers = upstream.SignX509Svids(requests);
  batch.status = answers.status();
  if (answers.ok() && answers->size() != orders.size()) {
    batch.status =
        Internal("the upstream answered {} of {} requests", answers->size(), orders.size());
  }
  if (!batch.status.ok()) {
    return batch;
  }
  for (size_t i = 0; i < orders.size(); ++i) {
    SignedSvid& result = batch.results.emplace_back();
    result.order = std::move(orders[i]);
    result.status = TakeSvid((*answers)[i], *keys[i], trust, result);
  }
  return batch;
}

}  // namespace assay
