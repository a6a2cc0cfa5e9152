// SPDX-License-Identifier: GPL-3.0-or-later
// The template half of rpc/call.h.
#pragma once

#include "rpc/call.h"

namespace assay::rpc {

// What every unary call shares: it is served as soon as its one message is whole.
class UnaryHandler : public CallHandler {
 public:
  explicit UnaryHandler(Call& call) : call_(call) {}
  ~UnaryHandler() override { *alive_ = false; }
  void OnMessage(std::string_view bytes) override;
  void OnHalfClose() override;

 protected:
  // Whether the bytes parse; then the request is served.
  virtual bool Serve(std::string_view bytes, Responder responder) = 0;
  Call& call_;

 private:
  bool received_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

template <typename Request>
MakeHandler Unary(std::function<void(Call&, const Request&, Responder)> serve) {
  class Handler final : public UnaryHandler {
   public:
    Handler(Call& call, const std::function<void(Call&, const Request&, Responder)>& serve_one)
        : UnaryHandler(call), serve_(serve_one) {}

   private:
    bool Serve(std::string_view bytes, Responder responder) override {
      Request request;
      if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return false;
      }
      serve_(call_, request, std::move(responder));
      return true;
    }
    std::function<void(Call&, const Request&, Responder)> serve_;
  };
  return [serve = std::move(serve)](Call& call) { return std::make_unique<Handler>(call, serve); };
}

}  // namespace assay::rpc
