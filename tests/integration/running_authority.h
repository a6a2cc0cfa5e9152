// SPDX-License-Identifier: GPL-3.0-or-later
// An authority that runs on a thread of this process, in a folder of its own, with what a test
// needs to speak to it as an operator and as an agent.
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "attestors/node/join_token.h"
#include "authority/authority.h"
#include "spire/api/server/agent/v1/agent.grpc.pb.h"
#include "spire/api/server/bundle/v1/bundle.grpc.pb.h"
#include "spire/api/server/entry/v1/entry.grpc.pb.h"
#include "spire/api/server/svid/v1/svid.grpc.pb.h"
#include "tests/support/temp_folder.h"
#include "upstream/upstream.h"

namespace assay {

class RunningAuthority final {
 public:
  static AuthorityOptions DefaultOptions(const TempFolder& folder) {
    AuthorityOptions options{.trust_domain = TrustDomain::Parse("example.org").value()};
    options.bind_address = "127.0.0.1";
    options.bind_port = 0;
    options.socket_path = folder.path() + "/private/api.sock";
    options.data_dir = folder.path() + "/data";
    options.ratelimit_attestation = false;
    return options;
  }

  explicit RunningAuthority(const AuthorityOptions& options)
      : options_(options),
        loop_(EventLoop::Create(clock_).value()),
        authority_(Authority::Create(options, clock_, *loop_).value()),
        thread_([this] { loop_->Run(); }) {}
  ~RunningAuthority() {
    loop_->Stop();
    thread_.join();
  }

  const TrustDomain& trust_domain() const { return options_.trust_domain; }
  uint16_t port() const { return authority_->port(); }

  // An operator's channel.
  std::shared_ptr<grpc::Channel> Operator() const {
    return grpc::CreateChannel("unix:" + options_.socket_path, grpc::InsecureChannelCredentials());
  }
  // An agent's connection, with no SVID yet. The first handshake takes the bundle on trust.
  std::unique_ptr<Upstream> Agent() const {
    return MakeUpstream({.addresses = {"127.0.0.1"},
                         .port = port(),
                         .trust_domain = trust_domain(),
                         .insecure_bootstrap = true},
                        clock_);
  }

 private:
  // Shared by all, for an agent's connection may outlive the authority.
  static inline const SystemClock clock_;

  const AuthorityOptions options_;
  const std::unique_ptr<EventLoop> loop_;
  const std::unique_ptr<Authority> authority_;
  std::thread thread_;
};

}  // namespace assay
