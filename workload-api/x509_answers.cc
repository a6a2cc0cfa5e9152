// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/x509_answers.h"

#include "base/secret.h"
#include "spiffe/workload.pb.h"
#include "workload-api/answer_bytes.h"

namespace assay {
namespace {

std::string IdOf(std::string_view trust_domain) { return "spiffe://" + std::string(trust_domain); }

}  // namespace

std::string X509SvidAnswer(const std::vector<X509SvidItem>& svids, const X509Bundles& federated) {
  X509SVIDResponse response;
  for (const X509SvidItem& item : svids) {
    X509SVID& svid = *response.add_svids();
    svid.set_spiffe_id(std::string(item.spiffe_id));
    svid.set_x509_svid(std::string(item.chain));
    svid.set_x509_svid_key(item.key.data(), item.key.size());
    svid.set_bundle(std::string(item.bundle));
    svid.set_hint(std::string(item.hint));
  }
  for (const auto& [trust_domain, bundle] : federated) {
    (*response.mutable_federated_bundles())[IdOf(trust_domain)] = std::string(bundle);
  }
  std::string bytes = AnswerBytes(response);
  for (X509SVID& svid : *response.mutable_svids()) {
    Wipe(svid.mutable_x509_svid_key()->data(), svid.x509_svid_key().size());
  }
  return bytes;
}

std::string X509BundlesAnswer(const X509Bundles& bundles) {
  X509BundlesResponse response;
  for (const auto& [trust_domain, bundle] : bundles) {
    (*response.mutable_bundles())[IdOf(trust_domain)] = std::string(bundle);
  }
  return AnswerBytes(response);
}

}  // namespace assay
