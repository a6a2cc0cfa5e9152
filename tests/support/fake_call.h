// SPDX-License-Identifier: GPL-3.0-or-later
// A gRPC call of nobody's: keeps what a handler sends and how it ends the call.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "rpc/call.h"

namespace assay {

class FakeCall final : public rpc::Call {
 public:
  rpc::Peer& peer() override { return peer_; }
  std::string_view method() const override { return "/s/M"; }
  std::vector<std::string_view> Metadata(std::string_view /*name*/) const override { return {}; }
  void Send(rpc::SharedFrame frame) override { sent.push_back(std::move(frame)); }
  size_t pending_bytes() const override { return 0; }
  bool lost() const override { return false; }
  bool Keep(size_t /*bytes*/) override { return true; }
  void Finish(const absl::Status& status, std::string_view /*details*/) override {
    outcome = status;
  }

  std::vector<rpc::SharedFrame> sent;
  std::optional<absl::Status> outcome;

 private:
  rpc::Peer peer_;
};

}  // namespace assay
