// SPDX-License-Identifier: GPL-3.0-or-later
// One gRPC call as a service sees it, and the table of methods a server offers. Everything here
// happens on the server's event loop; a handler never blocks.
#pragma once

#include <google/protobuf/message_lite.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "rpc/peer.h"

namespace assay::rpc {

// A message framed for the wire (the five-byte gRPC prefix, then protobuf bytes), built once and
// shared by every call that sends it. The bytes are wiped with the last reference.
class Frame {
 public:
  explicit Frame(const google::protobuf::MessageLite& message);
  explicit Frame(std::string_view protobuf_bytes);
  ~Frame();
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;
  std::string_view bytes() const { return bytes_; }

 private:
  std::string bytes_;
};
using SharedFrame = std::shared_ptr<const Frame>;

// The server's side of a call. It stays valid until its handler is destroyed, which is the server's
// doing: after Finish, a cancellation, or the loss of the connection.
class Call {
 public:
  virtual ~Call() = default;
  virtual Peer& peer() = 0;
  // The full method, "/package.Service/Method".
  virtual std::string_view method() const = 0;
  // The values of a request header, lower-case name, in order; usually none or one.
  virtual std::vector<std::string_view> Metadata(std::string_view name) const = 0;
  // Sends a message. The call keeps the frame until it is written.
  virtual void Send(SharedFrame frame) = 0;
  // Bytes sent but not yet taken by the connection: what a slow reader costs.
  virtual size_t pending_bytes() const = 0;
  // Whether nobody will read what is sent: the handler is about to be destroyed.
  virtual bool lost() const = 0;
  // Says how many bytes of the request its handler keeps from now on, for as long as the call goes
  // on: they are charged to the caller. False, and nothing has changed, when there is no memory for
  // them at this time.
  virtual bool Keep(size_t bytes) = 0;
  // Ends the call; details is the serialized google.rpc.Status for grpc-status-details-bin, if any.
  // Idempotent. The handler is destroyed soon after, never inside this call.
  virtual void Finish(const absl::Status& status, std::string_view details = {}) = 0;
};

// What a service does with one call. Made when the call's headers arrive; destroyed when it is
// over, which is how a handler learns of a cancellation.
class CallHandler {
 public:
  virtual ~CallHandler() = default;
  // One whole message of the caller's, protobuf bytes without the prefix.
  virtual void OnMessage(std::string_view bytes) = 0;
  // The caller will send no more.
  virtual void OnHalfClose() {}
};

using MakeHandler = std::function<std::unique_ptr<CallHandler>(Call& call)>;

// The methods of a server by full name; an unknown name answers Unimplemented as grpc-go does:
// "unknown service X" or "unknown method Y for service X".
class Registry {
 public:
  // Runs before every handler, on any method of the registry; a failed status answers the call.
  using Interceptor = std::function<absl::Status(Call& call)>;

  void Add(std::string full_method, MakeHandler make);
  const MakeHandler* Find(std::string_view full_method) const;
  bool HasService(std::string_view service) const;
  // Fully qualified names of the services, sorted.
  std::vector<std::string> Services() const;

 private:
  std::vector<std::pair<std::string, MakeHandler>> methods_;  // Sorted by name.
};

// Answers later, from the loop's thread. Harmless when the call is over meanwhile.
class Responder {
 public:
  Responder(Call* call, std::shared_ptr<bool> alive) : call_(call), alive_(std::move(alive)) {}
  void Reply(const google::protobuf::MessageLite& message) const;
  void Fail(const absl::Status& status, std::string_view details = {}) const;
  // Null when the call is over.
  Call* call() const { return *alive_ ? call_ : nullptr; }

 private:
  Call* call_;
  std::shared_ptr<bool> alive_;
};

// A unary method: parses the one request (malformed bytes, none, or two are answered as grpc-go
// does) and hands it over with the means to answer.
template <typename Request>
MakeHandler Unary(std::function<void(Call&, const Request&, Responder)> serve);

}  // namespace assay::rpc

#include "rpc/unary.inc.h"  // IWYU pragma: export
