// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/tls_handshake.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>

#include "crypto/curve_tables.h"

namespace assay {
namespace {

constexpr size_t kReadBytes = 16 << 10;

class Handshake final {
 public:
  Handshake(const UniqueFd& network, crypto::TlsConnection& tls, absl::Duration timeout)
      : network_(network),
        tls_(tls),
        timeout_(timeout),
        left_(absl::ToChronoMilliseconds(timeout)) {}

  absl::Status Run() {
    absl::Status status = tls_.Start();
    while (true) {
      // Even after a failure: the alert that tells the upstream why.
      const absl::Status sent = Send(tls_.TakeOutput());
      RETURN_IF_ERROR(status);
      if (tls_.handshake_done()) {
        return sent;
      }
      // What the upstream said before it closed tells more than that it did.
      absl::StatusOr<std::string> bytes = Receive();
      RETURN_IF_ERROR(bytes.status());
      if (bytes->empty()) {
        return sent.ok() ? Unavailable("tls handshake: closed by the upstream") : sent;
      }
      status = tls_.Feed(*bytes);
    }
  }

 private:
  // Until the socket is ready, or the timeout has been waited in all.
  absl::Status Wait(short events) {
    while (left_ > left_.zero()) {
      pollfd waited{.fd = network_.get(), .events = events, .revents = 0};
      const auto before = std::chrono::steady_clock::now();
      const int ready = poll(&waited, 1, static_cast<int>(left_.count()));
      left_ -=
          std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - before);
      if (ready > 0) {
        return absl::OkStatus();
      }
    }
    return Unavailable("tls handshake: no answer for {}", absl::FormatDuration(timeout_));
  }

  absl::Status Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = send(network_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count >= 0) {
        bytes.remove_prefix(static_cast<size_t>(count));
      } else if (errno == EAGAIN) {
        RETURN_IF_ERROR(Wait(POLLOUT));
      } else if (errno != EINTR) {
        return Unavailable("{}", Message(ErrnoStatus(errno, "write")));
      }
    }
    return absl::OkStatus();
  }

  // Empty at the end.
  absl::StatusOr<std::string> Receive() {
    std::string bytes(kReadBytes, '\0');
    while (true) {
      const ssize_t count = recv(network_.get(), bytes.data(), bytes.size(), 0);
      if (count >= 0) {
        bytes.resize(static_cast<size_t>(count));
        return bytes;
      }
      if (errno == EAGAIN) {
        RETURN_IF_ERROR(Wait(POLLIN));
      } else if (errno != EINTR) {
        return Unavailable("{}", Message(ErrnoStatus(errno, "read")));
      }
    }
  }

  const UniqueFd& network_;
  crypto::TlsConnection& tls_;
  const absl::Duration timeout_;
  std::chrono::milliseconds left_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<crypto::TlsConnection>> MakeHandshake(
    const UniqueFd& network, const HandshakeOptions& options) {
  ASSIGN_OR_RETURN(
      std::unique_ptr<crypto::TlsConnection> tls,
      crypto::TlsConnection::CreateClient({.identity = options.identity.get(),
                                           .verify_server = options.verify_server,
                                           .require_post_quantum = options.require_post_quantum}));
  const absl::Status done = Handshake(network, *tls, options.timeout).Run();
  crypto::FreeCurveTables();
  RETURN_IF_ERROR(done);
  return tls;
}

}  // namespace assay
