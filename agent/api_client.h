// SPDX-License-Identifier: GPL-3.0-or-later
// A caller of a Workload API, for the command line and for NodeAttestor "x509pop": it fetches
// X509-SVIDs and JWT-SVIDs and asks for health over the socket, and checks what it got. A failed
// call's message is what the reference prints: "rpc error: code = PermissionDenied desc = no
// identity issued".
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/secret.h"
#include "base/status.h"
#include "crypto/certificate.h"

namespace assay {

// One identity as the Workload API gave it: the chain verifies to the bundle, and the key is the
// leaf's.
struct FetchedSvid {
  std::string spiffe_id;
  std::string hint;
  std::vector<crypto::Certificate> chain;   // Leaf first.
  Secret key;                               // PKCS#8 DER.
  std::vector<crypto::Certificate> bundle;  // Of its own trust domain.
};

struct FetchedX509 {
  std::vector<FetchedSvid> svids;
  // By the SPIFFE ID of the trust domain.
  std::map<std::string, std::vector<crypto::Certificate>> federated;
};

// The first message of FetchX509SVID.
absl::StatusOr<FetchedX509> FetchX509Svids(const std::string& socket_path, absl::Duration timeout);

// Every message of FetchX509SVID, until the stream ends: the status says why.
absl::Status WatchX509Svids(const std::string& socket_path,
                            const std::function<void(const FetchedX509&)>& on_update);

struct FetchedJwt {
  struct Svid {
    std::string spiffe_id;
    Secret token;
    std::string hint;
  };
  std::vector<Svid> svids;
  // By the SPIFFE ID of the trust domain: JWK sets.
  std::map<std::string, std::string> bundles;
};

// The JWT-SVIDs for an audience, of all identities or that of an ID, and the JWT bundles.
absl::StatusOr<FetchedJwt> FetchJwtSvids(const std::string& socket_path, absl::Duration timeout,
                                         const std::vector<std::string>& audience,
                                         const std::string& spiffe_id);

struct ValidatedJwt {
  std::string spiffe_id;
  std::string claims;  // A JSON object.
};

// What the Workload API says of a JWT-SVID. Its words are those of the reference's command.
absl::StatusOr<ValidatedJwt> ValidateJwtSvid(const std::string& socket_path, absl::Duration timeout,
                                             const std::string& audience, const std::string& token);

// OK when the agent says that it serves.
absl::Status CheckAgentHealth(const std::string& socket_path);

}  // namespace assay
