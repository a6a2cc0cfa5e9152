// SPDX-License-Identifier: GPL-3.0-or-later
// One small document over HTTP (RFC 9110), by libcurl, which is loaded when it is first needed: it
// brings a TLS library of its own, whose memory processes that fetch nothing then do not pay.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace assay {

struct HttpRequest {
  // "https://...", verified by the machine's trusted authorities; "http://..." with a socket, or
  // when it is plain.
  std::string url;
  std::string unix_socket = {};  // The server's; empty: the URL's host.
  std::string ca_file = {};      // PEM of the trusted authorities; empty: the machine's.
  absl::Duration timeout = absl::Seconds(30);
  size_t max_bytes = 1 << 20;
  std::string method = "GET";                          // Another one has no body.
  absl::Duration connect_timeout = absl::Seconds(30);  // Of the timeout.
  // To a host without TLS, proxies and redirects: metadata services, challenges.
  bool plain = false;
  // From no address but those of base/outside_address.h, whatever the host's name leads to.
  bool only_outside = false;
  std::vector<std::string> headers = {};  // "Name: value".
  // The fetch ends within about a second after this becomes true; must outlive it. Null: never.
  const std::atomic<bool>* cancelled = nullptr;
};

// The body of an answer of status 200. Redirects are followed within the URL's scheme. Unavailable
// says what failed: the connection, the other status, an answer that is too long or too slow;
// PermissionDenied that the host's address is not outside and must be; Cancelled;
// FailedPrecondition what CheckHttpFetch would. No copy of the body is left behind by our own code.
// Blocks. Thread-safe.
absl::StatusOr<std::string> FetchHttp(const HttpRequest& request);

// FailedPrecondition when nothing can be fetched on this machine, with what to install.
absl::Status CheckHttpFetch();

// The scheme of a URL in lower case, and its query; nothing when it is no absolute URL with a host
// and of visible ASCII alone.
struct UrlParts {
  std::string scheme;
  std::string query;  // Without its "?".
};
absl::StatusOr<UrlParts> ParseUrl(const std::string& url);

// The text with all but letters, digits and "-._~" as %XX (RFC 3986 §2).
std::string PercentEncode(std::string_view text);

}  // namespace assay
