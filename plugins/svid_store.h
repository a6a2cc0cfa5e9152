// SPDX-License-Identifier: GPL-3.0-or-later
// A store of X509-SVIDs outside of the agent, which is an external plugin.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/secret.h"
#include "base/status.h"
#include "plugins/connection.h"

namespace assay {

// An X509-SVID with what it is used with.
struct StoredSvid {
  std::string spiffe_id;
  std::vector<std::string> chain;   // DER, leaf first.
  Secret key;                       // PKCS#8 DER.
  std::vector<std::string> bundle;  // DER.
  int64_t expires_at = 0;           // Unix seconds.
  // DER, by the SPIFFE ID of the foreign trust domain, "spiffe://other.test".
  std::map<std::string, std::string> federated_bundles;
};

// What can be done with a store. The metadata say where in it, in words of its own. Calls block.
class SvidStoreCalls {
 public:
  virtual ~SvidStoreCalls() = default;
  // New or replaced.
  virtual absl::Status Put(const StoredSvid& svid, const std::vector<std::string>& metadata) = 0;
  // InvalidArgument when the metadata name no place, NotFound when there is nothing at it: then
  // there is nothing to delete.
  virtual absl::Status Delete(const std::vector<std::string>& metadata) = 0;
};

// Thread-safe.
class SvidStorePlugin final : public SvidStoreCalls {
 public:
  // For one call: half of it to wait for the plugin, half for its answer.
  static constexpr absl::Duration kTimeout = absl::Minutes(1);

  // The connection must outlive it.
  explicit SvidStorePlugin(PluginConnection& connection, absl::Duration timeout = kTimeout)
      : connection_(connection), timeout_(timeout) {}

  absl::Status Put(const StoredSvid& svid, const std::vector<std::string>& metadata) override;
  absl::Status Delete(const std::vector<std::string>& metadata) override;

 private:
  PluginConnection& connection_;
  const absl::Duration timeout_;
};

}  // namespace assay
