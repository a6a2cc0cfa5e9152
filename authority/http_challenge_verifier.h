// SPDX-License-Identifier: GPL-3.0-or-later
// Verifies http_challenge node attestation: whoever answers at a host name over HTTP with the nonce
// is the host of that name. It proves as much as names, routes and the host's ports can be trusted.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "authority/node_verifier.h"
#include "authority/node_verifier_options.h"
#include "base/status.h"

namespace assay {

// What is at a URL, of at most some hundred bytes, redirects not followed; ends soon once it is
// cancelled. By any thread.
using FetchChallenge = std::function<absl::StatusOr<std::string>(
    const std::string& url, const std::atomic<bool>& cancelled)>;

// InvalidArgument for a pattern that is no regular expression (RE2's, as Go's).
absl::Status CheckDnsPattern(const std::string& pattern);

absl::StatusOr<std::unique_ptr<NodeVerifier>> MakeHttpChallengeVerifier(
    const NodeVerifierOptions::HttpChallenge& options, FetchChallenge fetch);

}  // namespace assay
