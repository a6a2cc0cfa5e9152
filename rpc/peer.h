// SPDX-License-Identifier: GPL-3.0-or-later
// Who is at the other end of a connection, as the kernel or TLS proved it: a property of the
// connection object, so no table can confuse two.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"
#include "crypto/certificate.h"

namespace assay::rpc {

// The process that connected to a Unix socket. The pidfd is SO_PEERPIDFD's, or pidfd_open's where
// the kernel is older than 6.5 (pid_is_weak then).
struct ProcessPeer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  // Its supplementary groups when it connected; nullopt when they are more than 64, or were taken
  // by Server::Options::on_connect.
  std::optional<std::vector<gid_t>> groups;
  UniqueFd pidfd;
  bool pid_is_weak = false;

  // Whether the process still runs (polls the pidfd; a zombie is dead).
  bool Alive() const;
  static absl::StatusOr<ProcessPeer> Of(int socket);
};

// The address at the other end of a TCP socket, without its port. Of IPv6 the network alone: every
// host has as many addresses as it likes.
std::string NetworkOf(int socket);

// State that a service keeps on a connection (a caller's attestation); dies with it.
class PeerState {
 public:
  virtual ~PeerState() = default;
};

struct Peer {
  ProcessPeer process;                         // On Unix sockets; pid 0 otherwise.
  std::vector<crypto::Certificate> tls_chain;  // On TLS: as verified, leaf first; may be empty.
  std::string address;                         // "1.2.3.4:567" on TCP; empty on Unix sockets.
  uint64_t connection_id = 0;                  // Never reused in a process.
  std::unique_ptr<PeerState> state;
};

}  // namespace assay::rpc
