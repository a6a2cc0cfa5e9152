// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/http_fetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "base/files.h"
#include "tests/support/fake_http_server.h"
#include "tests/support/fake_metadata_service.h"
#include "tests/support/openssl_command.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

class HttpFetchTest : public testing::Test {
 protected:
  HttpRequest OverSocket(const std::string& url = "http://localhost/bundle?a=b") {
    return {.url = url, .unix_socket = path_};
  }
  const TempFolder folder_;
  const std::string path_ = folder_.path() + "/http";
};

TEST_F(HttpFetchTest, FetchesOverAUnixSocket) {
  const FakeHttpServer server(path_, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(FetchHttp(OverSocket()).value(), "hello");
  EXPECT_THAT(server.requests(), ElementsAre("GET /bundle?a=b HTTP/1.1"));
}

TEST_F(HttpFetchTest, SaysTheStatusThatIsNotOk) {
  const FakeHttpServer server(path_, "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_THAT(FetchHttp(OverSocket()), StatusIs(StatusCode::kUnavailable, HasSubstr("status 404")));
}

TEST_F(HttpFetchTest, BoundsTheAnswer) {
  const FakeHttpServer server(path_, "HTTP/1.1 200 OK\r\n\r\n" + std::string(100, 'x'));
  HttpRequest request = OverSocket();
  request.max_bytes = 99;
  EXPECT_THAT(FetchHttp(request), StatusIs(StatusCode::kUnavailable, HasSubstr("more than 99")));
  request.max_bytes = 100;
  EXPECT_OK(FetchHttp(request));
}

TEST_F(HttpFetchTest, BoundsTheTime) {
  const FakeHttpServer server(path_, "");
  HttpRequest request = OverSocket();
  request.timeout = absl::Milliseconds(50);
  EXPECT_THAT(FetchHttp(request), StatusIs(StatusCode::kUnavailable, HasSubstr("timed out")));
}

TEST_F(HttpFetchTest, EndsWhenItIsCancelled) {
  const FakeHttpServer server(path_, "");
  std::atomic<bool> cancelled = false;
  HttpRequest request = OverSocket();
  request.cancelled = &cancelled;
  std::thread canceller([&] {
    while (server.requests().empty()) {
      std::this_thread::yield();
    }
    cancelled = true;
  });
  EXPECT_THAT(FetchHttp(request), StatusIs(StatusCode::kCancelled, HasSubstr("fetching")));
  canceller.join();
}

TEST(HttpFetchOutsideTest, AsksLoopbackOnlyWhenItMay) {
  FakeMetadataService service;
  service.Set("GET /a", "", "body");
  EXPECT_OK(CheckHttpFetch());
  EXPECT_EQ(FetchHttp({.url = service.url() + "/a", .plain = true}).value(), "body");
  const std::string port = service.host().substr(service.host().find(':'));
  for (std::string_view host : {"127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]",
                                "2130706433", "0x7f.1"}) {
    EXPECT_THAT(
        FetchHttp(
            {.url = fmt::format("http://{}{}/a", host, port), .plain = true, .only_outside = true}),
        StatusIs(StatusCode::kPermissionDenied, HasSubstr("address is loopback's")))
        << host;
  }
  EXPECT_EQ(service.requests().size(), 1u);
}

// Longer than what is read at once, so that the body grows.
TEST_F(HttpFetchTest, KeepsLongBodiesWhole) {
  std::string body;
  for (int i = 0; i < 100'000; ++i) {
    body += fmt::format("{:06}", i);
  }
  const FakeHttpServer server(
      path_, fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
  EXPECT_EQ(FetchHttp(OverSocket()).value(), body);
}

TEST_F(HttpFetchTest, SaysThatNobodyListens) {
  EXPECT_THAT(FetchHttp(OverSocket()), StatusIs(StatusCode::kUnavailable, HasSubstr("connect")));
}

TEST_F(HttpFetchTest, KeepsToTheScheme) {
  EXPECT_THAT(FetchHttp({.url = "http://127.0.0.1:1/"}),
              StatusIs(StatusCode::kUnavailable, HasSubstr("http")));
  EXPECT_THAT(FetchHttp({.url = "file:///etc/passwd"}),
              StatusIs(StatusCode::kUnavailable, testing::_));
  const FakeHttpServer server(path_, "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n");
  EXPECT_THAT(FetchHttp(OverSocket()), StatusIs(StatusCode::kUnavailable, testing::_));
}

// An HTTPS server by the openssl command, of a certificate of its own for localhost.
class OpensslServer final {
 public:
  explicit OpensslServer(const std::string& folder) : certificate_(folder + "/cert.pem") {
    const std::string key = folder + "/key.pem";
    RunOpenssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "
        "/CN=localhost -addext subjectAltName=DNS:localhost -keyout " +
        key + " -out " + certificate_);
    pipe_ = popen(("exec openssl s_server -www -accept 127.0.0.1:0 -key " + key + " -cert " +
                   certificate_ + " 2>&1 & echo $!; wait")
                      .c_str(),
                  "r");
    char line[256];
    while ((port_.empty() || process_ == 0) && fgets(line, sizeof(line), pipe_) != nullptr) {
      const std::string_view text(line);
      if (text.starts_with("ACCEPT ")) {
        port_ = text.substr(text.rfind(':') + 1, text.find('\n') - text.rfind(':') - 1);
      } else if (process_ == 0) {
        process_ = std::atoi(line);
      }
    }
  }
  ~OpensslServer() {
    kill(process_, SIGKILL);
    pclose(pipe_);
  }
  std::string url() const { return "https://localhost:" + port_ + "/"; }
  const std::string& certificate() const { return certificate_; }

 private:
  const std::string certificate_;
  FILE* pipe_ = nullptr;
  pid_t process_ = 0;
  std::string port_;
};

TEST_F(HttpFetchTest, VerifiesAnHttpsServer) {
  SKIP_WITHOUT_OPENSSL();
  const OpensslServer server(folder_.path());
  EXPECT_THAT(FetchHttp({.url = server.url()}),
              StatusIs(StatusCode::kUnavailable, HasSubstr("certificate")));
  EXPECT_OK(FetchHttp({.url = server.url(), .ca_file = server.certificate()}));
  std::string by_number = server.url();
  by_number.replace(by_number.find("localhost"), 9, "127.0.0.1");
  EXPECT_THAT(FetchHttp({.url = by_number, .ca_file = server.certificate()}),
              StatusIs(StatusCode::kUnavailable, testing::_));
}

TEST(UrlTest, HasASchemeAndAHost) {
  EXPECT_EQ(ParseUrl("HTTPS://h/p?a=1&b#c?d").value().scheme, "https");
  EXPECT_EQ(ParseUrl("HTTPS://h/p?a=1&b#c?d").value().query, "a=1&b");
  EXPECT_EQ(ParseUrl("http://h").value().query, "");
  for (const char* bad : {"", "h", "://h", "http:/h", "http://", "http:///p", "http://?q",
                          "http://h/a b", "http://h/\x80", "http://h\n"}) {
    EXPECT_THAT(ParseUrl(bad), StatusIs(StatusCode::kInvalidArgument, testing::_)) << bad;
  }
}

TEST(UrlTest, EncodesAllButTheUnreserved) {
  EXPECT_EQ(PercentEncode("aZ9-._~ /:&=\xff"), "aZ9-._~%20%2F%3A%26%3D%FF");
}

}  // namespace
}  // namespace assay
