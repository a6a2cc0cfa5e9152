// SPDX-License-Identifier: GPL-3.0-or-later
// Where the trust bundle for the first contact with the upstream comes from: a file, a URL, or
// another agent's Workload API. It is asked again at each attempt, for what is wrong with it may be
// mended meanwhile. Its calls block. Not thread-safe.
#pragma once

#include <absl/time/time.h>

#include <optional>
#include <string>

#include "agent/config.h"
#include "base/status.h"
#include "spiffe/trust_bundle.h"

namespace assay {

// Which attempt of a node that has no bundle, or whose bundle the upstream does not agree with.
struct BootstrapAttempt {
  bool again = false;  // The node had a bundle before.
  int number = 0;      // From 1.
  absl::Time since;    // When the first began.
};

class BootstrapSource final {
 public:
  struct Options {
    TrustDomain trust_domain;
    std::string server_address;
    uint16_t server_port = 0;
    std::string path = {}, url = {}, unix_socket = {}, workload_api = {};
    BundleFormat format = BundleFormat::kPem;
  };

  explicit BootstrapSource(Options options) : options_(std::move(options)) {}

  // The bundle, with one X.509 authority or more; nothing when no source is configured: the
  // operator has any upstream be trusted.
  absl::StatusOr<std::optional<TrustBundle>> Fetch(const BootstrapAttempt& attempt) const;

 private:
  absl::StatusOr<std::string> Download(const BootstrapAttempt& attempt) const;
  absl::StatusOr<TrustBundle> FetchFromWorkloadApi() const;

  const Options options_;
};

}  // namespace assay
