// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/http_fetch.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>

#include "base/outside_address.h"
#include "base/secret.h"

namespace assay {
namespace {

constexpr char kLibrary[] = "libcurl.so.4";
constexpr long kMaxRedirects = 10;
constexpr long kStatusOk = 200;

// The functions used of libcurl.
struct Curl {
  decltype(&curl_global_init) global_init = nullptr;
  decltype(&curl_easy_init) easy_init = nullptr;
  decltype(&curl_easy_setopt) easy_setopt = nullptr;
  decltype(&curl_easy_perform) easy_perform = nullptr;
  decltype(&curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&curl_easy_strerror) easy_strerror = nullptr;
  decltype(&curl_slist_append) slist_append = nullptr;
  decltype(&curl_slist_free_all) slist_free_all = nullptr;
  bool usable = false;
};

template <typename Function>
bool Find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

Curl LoadCurl() {
  Curl curl;
  void* const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  curl.usable = library != nullptr && Find(library, "curl_global_init", curl.global_init) &&
                Find(library, "curl_easy_init", curl.easy_init) &&
                Find(library, "curl_easy_setopt", curl.easy_setopt) &&
                Find(library, "curl_easy_perform", curl.easy_perform) &&
                Find(library, "curl_easy_getinfo", curl.easy_getinfo) &&
                Find(library, "curl_easy_cleanup", curl.easy_cleanup) &&
                Find(library, "curl_easy_strerror", curl.easy_strerror) &&
                Find(library, "curl_slist_append", curl.slist_append) &&
                Find(library, "curl_slist_free_all", curl.slist_free_all) &&
                curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return curl;
}

const Curl& TheCurl() {
  static const Curl curl = LoadCurl();
  return curl;
}

// What libcurl calls back about one fetch.
struct Fetch {
  explicit Fetch(const HttpRequest& a_request) : request(a_request) {}
  ~Fetch() { Wipe(body.data(), body.size()); }
  Fetch(const Fetch&) = delete;
  Fetch& operator=(const Fetch&) = delete;

  const HttpRequest& request;
  std::string body;  // May be a token: none of it is left behind when it grows.
  bool too_long = false;
  bool refused = false;  // An address that is not outside.
  char error[CURL_ERROR_SIZE] = "";
};

size_t TakeBytes(char* bytes, size_t size, size_t count, void* to) {
  Fetch& fetch = *static_cast<Fetch*>(to);
  const size_t taken = size * count;
  if (taken > fetch.request.max_bytes - fetch.body.size()) {
    fetch.too_long = true;
    return 0;
  }
  const size_t needed = fetch.body.size() + taken;
  if (needed > fetch.body.capacity()) {
    std::string larger;
    larger.reserve(std::min(std::max(needed, 2 * fetch.body.capacity()), fetch.request.max_bytes));
    larger = fetch.body;
    Wipe(fetch.body.data(), fetch.body.size());
    fetch.body.swap(larger);
  }
  fetch.body.append(bytes, taken);
  return taken;
}

curl_socket_t OpenSocket(void* of, curlsocktype, curl_sockaddr* address) {
  if (!IsOutside(address->addr)) {
    static_cast<Fetch*>(of)->refused = true;
    return CURL_SOCKET_BAD;
  }
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int IsCancelled(void* of, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const std::atomic<bool>* cancelled = static_cast<Fetch*>(of)->request.cancelled;
  return cancelled != nullptr && *cancelled ? 1 : 0;
}

long Milliseconds(absl::Duration duration) {
  return static_cast<long>(absl::ToInt64Milliseconds(duration));
}

// Everything about the request; false when libcurl lacks something that is asked for.
bool Configure(const Curl& curl, CURL* easy, Fetch& fetch) {
  const auto set = [&](CURLoption option, auto value) {
    return curl.easy_setopt(easy, option, value) == CURLE_OK;
  };
  const HttpRequest& request = fetch.request;
  const bool encrypted = request.unix_socket.empty() && !request.plain;
  const char* scheme = encrypted ? "https" : "http";
  // Since 7.87: a resolver that is slow does not hold up who gives up.
  (void)set(CURLOPT_QUICK_EXIT, 1L);
  return set(CURLOPT_URL, request.url.c_str()) && set(CURLOPT_PROTOCOLS_STR, scheme) &&
         set(CURLOPT_REDIR_PROTOCOLS_STR, scheme) &&
         set(CURLOPT_FOLLOWLOCATION, request.plain ? 0L : 1L) &&
         set(CURLOPT_MAXREDIRS, kMaxRedirects) && set(CURLOPT_NOSIGNAL, 1L) &&
         set(CURLOPT_SSL_VERIFYPEER, 1L) && set(CURLOPT_SSL_VERIFYHOST, 2L) &&
         set(CURLOPT_TIMEOUT_MS, Milliseconds(request.timeout)) &&
         set(CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(request.connect_timeout)) &&
         set(CURLOPT_WRITEFUNCTION, &TakeBytes) && set(CURLOPT_WRITEDATA, &fetch) &&
         set(CURLOPT_NOPROGRESS, 0L) && set(CURLOPT_XFERINFOFUNCTION, &IsCancelled) &&
         set(CURLOPT_XFERINFODATA, &fetch) && set(CURLOPT_ERRORBUFFER, fetch.error) &&
         (!request.plain || set(CURLOPT_NOPROXY, "*")) &&
         (!request.only_outside ||
          (set(CURLOPT_OPENSOCKETFUNCTION, &OpenSocket) && set(CURLOPT_OPENSOCKETDATA, &fetch))) &&
         (request.method == "GET" || set(CURLOPT_CUSTOMREQUEST, request.method.c_str())) &&
         (request.ca_file.empty() || set(CURLOPT_CAINFO, request.ca_file.c_str())) &&
         (request.unix_socket.empty() ||
          set(CURLOPT_UNIX_SOCKET_PATH, request.unix_socket.c_str()));
}

using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

Headers MakeHeaders(const Curl& curl, const std::vector<std::string>& lines) {
  Headers headers(nullptr, curl.slist_free_all);
  for (const std::string& line : lines) {
    curl_slist* const longer = curl.slist_append(headers.get(), line.c_str());
    (void)headers.release();
    headers.reset(longer);
  }
  return headers;
}

using Easy = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

// Ready to be performed.
absl::StatusOr<Easy> Prepare(const Curl& curl, Fetch& fetch) {
  if (!curl.usable) {
    return FailedPrecondition("{} cannot be loaded: install libcurl4", kLibrary);
  }
  Easy easy(curl.easy_init(), curl.easy_cleanup);
  if (easy == nullptr || !Configure(curl, easy.get(), fetch)) {
    return FailedPrecondition("{} does not do what is needed: install libcurl4 of 7.85 or later",
                              kLibrary);
  }
  return easy;
}

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

}  // namespace

absl::StatusOr<std::string> FetchHttp(const HttpRequest& request) {
  const Curl& curl = TheCurl();
  Fetch fetch(request);
  ASSIGN_OR_RETURN(const Easy easy, Prepare(curl, fetch));
  const Headers headers = MakeHeaders(curl, request.headers);
  curl.easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
  const CURLcode done = curl.easy_perform(easy.get());
  if (done == CURLE_ABORTED_BY_CALLBACK) {
    return MakeStatus(absl::StatusCode::kCancelled, fmt::format("fetching {}", request.url));
  }
  if (fetch.too_long) {
    return Unavailable("fetching {}: the answer has more than {} bytes", request.url,
                       request.max_bytes);
  }
  if (done != CURLE_OK && fetch.refused) {
    return PermissionDenied(
        "fetching {}: the host's address is loopback's, the link's or a metadata service's",
        request.url);
  }
  if (done != CURLE_OK) {
    return Unavailable("fetching {}: {}", request.url,
                       fetch.error[0] != '\0' ? fetch.error : curl.easy_strerror(done));
  }
  long status = 0;
  curl.easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status != kStatusOk) {
    return Unavailable("fetching {}: the answer is status {}", request.url, status);
  }
  return std::move(fetch.body);
}

absl::Status CheckHttpFetch() {
  const HttpRequest request{.url = "http://localhost/", .plain = true, .only_outside = true};
  Fetch fetch(request);
  return Prepare(TheCurl(), fetch).status();
}

absl::StatusOr<UrlParts> ParseUrl(const std::string& url) {
  const size_t colon = url.find("://");
  const bool visible =
      std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  const size_t host = colon == url.npos ? url.npos : colon + 3;
  if (host == url.npos || colon == 0 || host == url.size() || !visible ||
      std::string_view("/?#").find(url[host]) != std::string_view::npos) {
    return InvalidArgument("{} is no url", Quoted(url));
  }
  UrlParts parts{.scheme = url.substr(0, colon), .query = {}};
  for (char& c : parts.scheme) {
    c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  }
  const std::string before_fragment = url.substr(0, url.find('#'));
  if (const size_t mark = before_fragment.find('?'); mark != url.npos) {
    parts.query = before_fragment.substr(mark + 1);
  }
  return parts;
}

std::string PercentEncode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    encoded +=
        IsUnreserved(c) ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

}  // namespace assay
