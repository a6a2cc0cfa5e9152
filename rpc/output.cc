// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/output.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/secret.h"

namespace assay::rpc {
namespace {

constexpr size_t kControlBytes = 64 << 10;
// nghttp2 hands out at most one frame buffer at a time.
constexpr size_t kMaxRun = 20 << 10;
constexpr size_t kMaxParts = 512;
constexpr size_t kMaxBatchBytes = 256 << 10;
constexpr size_t kTlsRecordBytes = 16 << 10;
constexpr size_t kBacklogVectors = 64;

// Bytes taken; 0 when the socket is full.
absl::StatusOr<size_t> Send(int socket, iovec* vectors, size_t count) {
  msghdr message{};
  message.msg_iov = vectors;
  message.msg_iovlen = count;
  while (true) {
    const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      return static_cast<size_t>(sent);
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return 0;
    }
    if (errno != EINTR) {
      return ErrnoStatus(errno, "writing to a caller");
    }
  }
}

}  // namespace

void Backlog::Add(SharedFrame frame, std::string_view bytes) {
  if (bytes.empty()) {
    return;
  }
  bytes_ += bytes.size();
  if (frame) {
    const auto offset = static_cast<size_t>(bytes.data() - frame->bytes().data());
    pieces_.push_back({std::move(frame), {}, offset, bytes.size()});
    return;
  }
  pieces_.push_back({nullptr, std::string(bytes), 0, bytes.size()});
  copied_bytes_ += bytes.size();
}

absl::Status Backlog::WriteTo(int socket) {
  while (!pieces_.empty()) {
    std::array<iovec, kBacklogVectors> vectors;
    size_t count = 0;
    size_t wanted = 0;
    for (size_t i = next_; i < pieces_.size() && count < vectors.size(); ++i, ++count) {
      vectors[count] = {const_cast<char*>(pieces_[i].data()), pieces_[i].size};
      wanted += pieces_[i].size;
    }
    ASSIGN_OR_RETURN(const size_t written, Send(socket, vectors.data(), count));
    Drop(written);
    if (written < wanted) {
      break;
    }
  }
  return absl::OkStatus();
}

void Backlog::Drop(size_t written) {
  bytes_ -= written;
  while (next_ < pieces_.size() && written >= pieces_[next_].size) {
    written -= pieces_[next_].size;
    copied_bytes_ -= pieces_[next_].copied.size();
    pieces_[next_] = {};
    ++next_;
  }
  if (next_ == pieces_.size()) {
    std::vector<Piece>().swap(pieces_);
    next_ = 0;
    return;
  }
  pieces_[next_].offset += written;
  pieces_[next_].size -= written;
}

OutputBatch::OutputBatch() : control_(std::make_unique_for_overwrite<char[]>(kControlBytes)) {
  parts_.reserve(kMaxParts);
  vectors_.reserve(kMaxParts);
}

OutputBatch::~OutputBatch() = default;

bool OutputBatch::HasRoom() const {
  return control_size_ + kMaxRun <= kControlBytes && bytes_ < kMaxBatchBytes &&
         parts_.size() + kMaxFrameParts + 1 <= kMaxParts;
}

void OutputBatch::AddControl(std::string_view bytes) {
  char* copy = control_.get() + control_size_;
  const size_t size = std::min(bytes.size(), kControlBytes - control_size_);
  std::memcpy(copy, bytes.data(), size);
  control_size_ += size;
  bytes_ += size;
  if (!parts_.empty() && parts_.back() == nullptr) {
    vectors_.back().iov_len += size;
    return;
  }
  parts_.push_back(nullptr);
  vectors_.push_back({copy, size});
}

void OutputBatch::AddFrame(SharedFrame frame, std::string_view bytes) {
  parts_.push_back(std::move(frame));
  vectors_.push_back({const_cast<char*>(bytes.data()), bytes.size()});
  bytes_ += bytes.size();
}

void OutputBatch::Clear() {
  parts_.clear();
  vectors_.clear();
  control_size_ = 0;
  bytes_ = 0;
}

absl::Status OutputBatch::WriteTo(int socket, crypto::TlsConnection* tls, Backlog& backlog) {
  const absl::Status status =
      tls != nullptr ? WriteTls(socket, *tls, backlog) : WritePlain(socket, backlog);
  Clear();
  return status;
}

absl::Status OutputBatch::WritePlain(int socket, Backlog& backlog) {
  size_t written = 0;
  if (backlog.empty()) {
    ASSIGN_OR_RETURN(written, Send(socket, vectors_.data(), vectors_.size()));
  }
  for (size_t i = 0; i < parts_.size(); ++i) {
    const size_t skipped = std::min(written, vectors_[i].iov_len);
    written -= skipped;
    if (skipped < vectors_[i].iov_len) {
      backlog.Add(std::move(parts_[i]), {static_cast<const char*>(vectors_[i].iov_base) + skipped,
                                         vectors_[i].iov_len - skipped});
    }
  }
  return absl::OkStatus();
}

absl::Status OutputBatch::WriteTls(int socket, crypto::TlsConnection& tls, Backlog& backlog) {
  // Room for all, so that no growth leaves plain bytes behind.
  plain_.reserve(kTlsRecordBytes + kControlBytes);
  absl::Status status;
  for (size_t i = 0; i < vectors_.size() && status.ok(); ++i) {
    plain_.append(static_cast<const char*>(vectors_[i].iov_base), vectors_[i].iov_len);
    if (plain_.size() >= kTlsRecordBytes || i + 1 == vectors_.size()) {
      status = tls.Write(plain_);
      Wipe(plain_.data(), plain_.size());
      plain_.clear();
    }
  }
  RETURN_IF_ERROR(status);
  const std::string cipher = tls.TakeOutput();
  backlog.Add(nullptr, cipher);
  return backlog.WriteTo(socket);
}

}  // namespace assay::rpc
