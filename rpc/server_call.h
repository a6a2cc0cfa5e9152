// SPDX-License-Identifier: GPL-3.0-or-later
// One HTTP/2 stream as a gRPC call: checks the request's headers, feeds its messages to the
// handler, and keeps the answer until the connection has room for it. Belongs to its connection.
#pragma once

#include <nghttp2/nghttp2.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "rpc/call.h"
#include "rpc/grpc_wire.h"
#include "rpc/header_fields.h"
#include "rpc/output.h"
#include "rpc/request_check.h"

namespace assay::rpc {

class Connection;

class ServerCall final : public Call {
 public:
  ServerCall(Connection& connection, int32_t stream_id);
  ~ServerCall() override;
  ServerCall(const ServerCall&) = delete;
  ServerCall& operator=(const ServerCall&) = delete;

  // Call.
  Peer& peer() override;
  std::string_view method() const override { return method_; }
  std::vector<std::string_view> Metadata(std::string_view name) const override;
  void Send(SharedFrame frame) override;
  size_t pending_bytes() const override { return pending_; }
  bool lost() const override;
  bool Keep(size_t bytes) override;
  void Finish(const absl::Status& status, std::string_view details = {}) override;

  int32_t stream_id() const { return stream_id_; }
  // Where the connection keeps it.
  size_t index = 0;

  // The request as it arrives. Where it is malformed the stream is reset, unless it is answered. A
  // header that would exceed the limit is dropped, and the stream reset when the last has come.
  void AddHeader(std::string_view name, std::string_view value);
  // ends: the request ends with them, which trailers must (RFC 9113 8.1).
  void OnHeadersEnd(bool ends);
  void OnTrailersEnd(bool ends);
  void OnData(std::string_view chunk);
  void OnEnd();

  // nghttp2 asks how many bytes the next DATA frame may carry, of at most limit; then Take() moves
  // that many into the batch.
  ssize_t ReadFor(size_t limit, uint32_t& flags);
  void Take(size_t size, OutputBatch& batch);

  bool finished() const { return finished_; }
  // Bytes held of a message that is not whole yet, and is waited for.
  size_t half_read() const { return finished_ ? 0 : reader_.buffered(); }
  // Whether response headers are on their way.
  bool answered() const { return responded_; }
  // Destroys the handler of a finished call.
  void DropHandler() { handler_.reset(); }

 private:
  struct Ending {
    std::string code;     // Decimal.
    std::string message;  // Encoded.
    std::string details;  // Encoded.
  };

  // Nothing of it is answered.
  void Reset(uint32_t error);
  absl::Status CheckRequest(int& http_status);
  absl::Status StartHandler();
  void StartDeadline(absl::Duration timeout);
  void TellEnd(absl::StatusCode code) const;
  void CancelTimer(EventLoop::TimerId& timer);
  // Starts or stops the timer of message_timeout; arrived: a message has.
  void WaitForMessage(bool arrived);
  void End(const absl::Status& status, std::string_view details, int http_status);
  void SubmitResponse();
  void Resume();
  void SubmitTrailersOnly(int http_status);
  void SubmitTrailers();
  size_t AddTrailers(nghttp2_nv* fields) const;
  size_t Available(size_t limit) const;

  Connection& connection_;
  const int32_t stream_id_;
  bool headers_ended_ = false;
  bool too_many_headers_ = false;
  bool responded_ = false;  // Response headers are submitted.
  bool deferred_ = false;   // nghttp2 asked for data when there was none.
  bool finished_ = false;
  size_t header_bytes_ = 0;  // As HTTP/2 counts them, trailers included.
  size_t held_ = 0;          // What the connection knows that the request takes,
  size_t kept_ = 0;          // and the part of it that the handler keeps.
  size_t pending_ = 0;       // Bytes in queue_ not taken.
  size_t offset_ = 0;        // Taken of the first frame.
  std::string_view method_;
  HeaderFields headers_;
  RequestCheck check_;
  std::vector<SharedFrame> queue_;
  size_t next_ = 0;  // First of queue_ not wholly taken.
  MessageReader reader_;
  std::unique_ptr<CallHandler> handler_;
  std::unique_ptr<Ending> ending_;
  absl::Duration started_;  // By the observer's clock.
  bool observed_ = false;
  EventLoop::TimerId deadline_ = 0;
  EventLoop::TimerId message_timer_ = 0;
};

}  // namespace assay::rpc
