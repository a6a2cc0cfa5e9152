// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/x509_answers.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "base/secret.h"
#include "spiffe/workload.pb.h"

namespace assay {
namespace {

// Equal content gives equal bytes only when maps are written in order.
std::string Serialize(const google::protobuf::Message& message) {
  std::string bytes;
  bytes.reserve(message.ByteSizeLong());  // So that no copy of a key is left behind by growing.
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

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
  std::string bytes = Serialize(response);
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
  return Serialize(response);
}

}  // namespace assay
