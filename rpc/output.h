// SPDX-License-Identifier: GPL-3.0-or-later
// Bytes on their way to a socket: control bytes are copied, messages are carried by reference. An
// OutputBatch gathers one round's output of one connection and is reused by all; what the socket
// does not take becomes that connection's Backlog.
#pragma once

#include <sys/uio.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "crypto/tls.h"
#include "rpc/call.h"

namespace assay::rpc {

// What a socket would not take yet. Empty most of the time, and then without memory.
class Backlog {
 public:
  bool empty() const { return pieces_.empty(); }
  size_t bytes() const { return bytes_; }
  // Memory of its own, besides the frames.
  size_t copied_bytes() const { return copied_bytes_; }
  // frame may be null: then the bytes are copied.
  void Add(SharedFrame frame, std::string_view bytes);
  // Writes what the socket takes; Unavailable when the connection is lost.
  absl::Status WriteTo(int socket);

 private:
  struct Piece {
    SharedFrame frame;
    std::string copied;
    size_t offset;  // In the frame, or in the copy.
    size_t size;
    const char* data() const { return (frame ? frame->bytes().data() : copied.data()) + offset; }
  };
  void Drop(size_t written);

  std::vector<Piece> pieces_;
  size_t next_ = 0;
  size_t bytes_ = 0;
  size_t copied_bytes_ = 0;
};

class OutputBatch {
 public:
  OutputBatch();
  ~OutputBatch();
  OutputBatch(const OutputBatch&) = delete;
  OutputBatch& operator=(const OutputBatch&) = delete;

  // Whether it has room for one more run of control bytes, of up to kMaxRun, or for one DATA frame.
  bool HasRoom() const;
  bool empty() const { return parts_.empty(); }
  size_t bytes() const { return bytes_; }
  void AddControl(std::string_view bytes);
  void AddFrame(SharedFrame frame, std::string_view bytes);
  // Writes all to the socket, through tls if there is one, leaves in backlog what was not taken,
  // and is empty afterwards. Unavailable when the connection is lost.
  absl::Status WriteTo(int socket, crypto::TlsConnection* tls, Backlog& backlog);
  void Clear();

  static constexpr size_t kMaxFrameParts = 64;  // Of one DATA frame.

 private:
  absl::Status WritePlain(int socket, Backlog& backlog);
  absl::Status WriteTls(int socket, crypto::TlsConnection& tls, Backlog& backlog);

  std::unique_ptr<char[]> control_;
  size_t control_size_ = 0;
  size_t bytes_ = 0;
  std::vector<SharedFrame> parts_;  // Null for control bytes.
  std::vector<iovec> vectors_;      // Beside parts_.
  std::string plain_;               // Gathered for TLS.
};

}  // namespace assay::rpc
