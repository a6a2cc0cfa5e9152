// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/server_call.h"

#include <algorithm>
#include <array>

#include "rpc/connection.h"
#include "rpc/connection_set.h"
#include "rpc/header_fields.h"

namespace assay::rpc {
namespace {

// What HTTP/2 adds to each header when it counts a list's size (RFC 9113 6.5.2).
constexpr size_t kHeaderOverhead = 32;
// Callers limit what trailers they accept, most of them to 8 KB.
constexpr size_t kMaxDetailsBytes = 4 << 10;
constexpr size_t kCompactAfter = 64;
// What an open call costs besides its headers and message: about what its objects take.
constexpr size_t kCallBytes = 1024;

nghttp2_nv ContentTypeField() { return ConstantField("content-type", "application/grpc"); }

ssize_t ReadData(nghttp2_session* /*session*/, int32_t /*stream_id*/, uint8_t* /*buffer*/,
                 size_t limit, uint32_t* flags, nghttp2_data_source* source, void* /*user_data*/) {
  return static_cast<ServerCall*>(source->ptr)->ReadFor(limit, *flags);
}

}  // namespace

ServerCall::ServerCall(Connection& connection, int32_t stream_id)
    : connection_(connection), stream_id_(stream_id) {}

ServerCall::~ServerCall() {
  if (!finished_) {
    TellEnd(responded_ ? absl::StatusCode::kOk : absl::StatusCode::kCancelled);
  }
  CancelTimer(deadline_);
  CancelTimer(message_timer_);
  connection_.DropPending(pending_);
  connection_.Hold(held_, 0);
}

Peer& ServerCall::peer() { return connection_.peer(); }

bool ServerCall::lost() const { return connection_.lost(); }

void ServerCall::AddHeader(std::string_view name, std::string_view value) {
  if (finished_) {
    return;
  }
  if (!check_.OnField(name, value)) {
    Reset(NGHTTP2_PROTOCOL_ERROR);
    return;
  }
  header_bytes_ += name.size() + value.size() + kHeaderOverhead;
  if (header_bytes_ > connection_.set().limits().max_header_bytes) {
    too_many_headers_ = true;
  } else if (!headers_ended_) {
    headers_.Add(name, value);
  }
}

std::vector<std::string_view> ServerCall::Metadata(std::string_view name) const {
  return headers_.All(name);
}

absl::Status ServerCall::CheckRequest(int& http_status) {
  const std::string_view content_type = headers_.First("content-type");
  if (!IsGrpcContentType(content_type)) {
    http_status = 415;
    return InvalidArgument("invalid gRPC request content-type {}", Quoted(content_type));
  }
  const std::string_view timeout_text = headers_.First("grpc-timeout");
  if (!timeout_text.empty()) {
    const absl::StatusOr<absl::Duration> timeout = ParseTimeout(timeout_text);
    if (!timeout.ok()) {
      http_status = 400;
      return WithContext(timeout.status(), "malformed grpc-timeout");
    }
    StartDeadline(*timeout);
  }
  const std::string_view http_method = headers_.First(":method");
  if (http_method != "POST") {
    http_status = 405;
    return Internal("Received a HEADERS frame with :method {} which should be POST",
                    Quoted(http_method));
  }
  return absl::OkStatus();
}

void ServerCall::Reset(uint32_t error) {
  finished_ = true;
  CancelTimer(deadline_);
  CancelTimer(message_timer_);
  nghttp2_submit_rst_stream(connection_.session(), NGHTTP2_FLAG_NONE, stream_id_, error);
}

void ServerCall::StartDeadline(absl::Duration timeout) {
  deadline_ = connection_.set().loop().After(timeout, [this] {
    deadline_ = 0;
    Finish(MakeStatus(absl::StatusCode::kDeadlineExceeded, "context deadline exceeded"));
  });
}

void ServerCall::TellEnd(absl::StatusCode code) const {
  if (observed_) {
    CallObserver& observer = *connection_.set().options().observer;
    observer.OnCallEnd(method_, code, observer.Now() - started_);
  }
}

void ServerCall::CancelTimer(EventLoop::TimerId& timer) {
  if (timer != 0) {
    connection_.set().loop().Cancel(timer);
    timer = 0;
  }
}

void ServerCall::WaitForMessage(bool arrived) {
  if (arrived) {
    CancelTimer(message_timer_);
  }
  const absl::Duration timeout = connection_.set().limits().message_timeout;
  if (message_timer_ == 0 && !finished_ && (!arrived || reader_.in_message()) &&
      timeout < absl::InfiniteDuration()) {
    message_timer_ = connection_.set().loop().After(timeout, [this] {
      message_timer_ = 0;
      Finish(MakeStatus(absl::StatusCode::kDeadlineExceeded, "the request did not come in time"));
    });
  }
}

// The words for names that the registry does not hold are grpc-go's.
absl::Status ServerCall::StartHandler() {
  const size_t slash = method_.rfind('/');
  if (!method_.starts_with('/') || slash == 0) {
    return MakeStatus(absl::StatusCode::kUnimplemented,
                      fmt::format("malformed method name: {}", Quoted(method_)));
  }
  const std::string_view encoding = headers_.First("grpc-encoding");
  const MakeHandler* make = connection_.set().registry().Find(method_);
  if (make == nullptr) {
    const std::string_view service = method_.substr(1, slash - 1);
    const std::string_view name = method_.substr(slash + 1);
    return MakeStatus(absl::StatusCode::kUnimplemented,
                      connection_.set().registry().HasService(service)
                          ? fmt::format("unknown method {} for service {}", name, service)
                          : fmt::format("unknown service {}", service));
  }
  if (CallObserver* observer = connection_.set().options().observer; observer != nullptr) {
    observed_ = true;
    observer->OnCallBegin(method_);
    started_ = observer->Now();
  }
  if (!encoding.empty() && encoding != "identity") {
    return MakeStatus(
        absl::StatusCode::kUnimplemented,
        fmt::format("grpc: Decompressor is not installed for grpc-encoding {}", Quoted(encoding)));
  }
  if (const auto& intercept = connection_.set().options().interceptor) {
    RETURN_IF_ERROR(intercept(*this));
  }
  if (!finished_) {
    handler_ = (*make)(*this);
  }
  return absl::OkStatus();
}

void ServerCall::OnHeadersEnd(bool ends) {
  headers_ended_ = true;
  if (finished_) {
    return;
  }
  if (too_many_headers_ || !check_.OnHeadersEnd() || (ends && !check_.OnEnd())) {
    Reset(too_many_headers_ ? NGHTTP2_FRAME_SIZE_ERROR : NGHTTP2_PROTOCOL_ERROR);
    return;
  }
  const size_t own = kCallBytes + header_bytes_;
  if (!connection_.Hold(0, own)) {
    Finish(ResourceExhausted("too many calls are open at this time"));
    return;
  }
  held_ = own;
  method_ = headers_.First(":path");
  if (const MakeHandler& any = connection_.set().options().any_request) {
    handler_ = any(*this);
    return;
  }
  int http_status = 200;
  if (const absl::Status status = CheckRequest(http_status); !status.ok()) {
    End(status, {}, http_status);
    return;
  }
  connection_.OnCallStarted();
  if (const absl::Status status = StartHandler(); !status.ok()) {
    Finish(status);
  }
  WaitForMessage(/*arrived=*/false);
}

void ServerCall::OnTrailersEnd(bool ends) {
  if (!finished_ && !ends) {
    Reset(NGHTTP2_PROTOCOL_ERROR);
  }
}

void ServerCall::OnData(std::string_view chunk) {
  if (!finished_ && !check_.OnData(chunk.size())) {
    Reset(NGHTTP2_PROTOCOL_ERROR);
    return;
  }
  bool arrived = false;
  while (!finished_ && !connection_.lost() && !connection_.set().options().any_request) {
    const auto message = reader_.Next(chunk, connection_.set().limits().max_message_bytes);
    if (!message.ok()) {
      Finish(message.status());
      return;
    }
    if (!*message) {
      break;
    }
    arrived = true;
    if (handler_) {
      handler_->OnMessage(**message);
    }
  }
  if (arrived || reader_.in_message()) {
    WaitForMessage(arrived);
  }
  const size_t held = kCallBytes + header_bytes_ + reader_.buffered() + kept_;
  if (held == held_ || finished_) {
    return;
  }
  if (!connection_.Hold(held_, held)) {
    Finish(ResourceExhausted("no memory for a large request at this time"));
    return;
  }
  held_ = held;
}

bool ServerCall::Keep(size_t bytes) {
  const size_t held = held_ - kept_ + bytes;
  if (!connection_.Hold(held_, held)) {
    return false;
  }
  held_ = held;
  kept_ = bytes;
  return true;
}

void ServerCall::OnEnd() {
  if (finished_) {
    return;
  }
  CancelTimer(message_timer_);
  if (!check_.OnEnd()) {
    Reset(NGHTTP2_PROTOCOL_ERROR);
  } else if (reader_.in_message()) {
    Finish(Internal("unexpected EOF"));
  } else if (handler_) {
    handler_->OnHalfClose();
  }
}

void ServerCall::Send(SharedFrame frame) {
  if (finished_ || frame->bytes().empty()) {
    return;
  }
  const size_t size = frame->bytes().size();
  SharedFrame kept = connection_.AddPending(std::move(frame));
  if (kept == nullptr) {
    return;
  }
  pending_ += size;
  queue_.push_back(std::move(kept));
  if (!responded_) {
    if (observed_) {
      CallObserver& observer = *connection_.set().options().observer;
      observer.OnFirstMessage(method_, observer.Now() - started_);
    }
    SubmitResponse();
  } else {
    Resume();
  }
  connection_.Touch();
}

void ServerCall::SubmitResponse() {
  responded_ = true;
  const std::array<nghttp2_nv, 2> fields = {ConstantField(":status", "200"), ContentTypeField()};
  nghttp2_data_provider provider{};
  provider.source.ptr = this;
  provider.read_callback = ReadData;
  nghttp2_submit_response(connection_.session(), stream_id_, fields.data(), fields.size(),
                          &provider);
}

void ServerCall::Resume() {
  if (deferred_) {
    deferred_ = false;
    nghttp2_session_resume_data(connection_.session(), stream_id_);
  }
}

void ServerCall::Finish(const absl::Status& status, std::string_view details) {
  if (!finished_) {
    End(status, details, 200);
  }
}

void ServerCall::End(const absl::Status& status, std::string_view details, int http_status) {
  finished_ = true;
  TellEnd(status.code());
  CancelTimer(deadline_);
  CancelTimer(message_timer_);
  ending_ = std::make_unique<Ending>();
  ending_->code = std::to_string(static_cast<int>(status.code()));
  if (!status.ok()) {
    ending_->message = EncodeStatusMessage(Message(status));
    if (!details.empty() && details.size() <= kMaxDetailsBytes) {
      ending_->details = EncodeBinaryHeader(details);
    }
  }
  if (!responded_) {
    SubmitTrailersOnly(http_status);
  } else {
    Resume();
  }
  connection_.OnCallFinished(status.code() == absl::StatusCode::kPermissionDenied);
}

size_t ServerCall::AddTrailers(nghttp2_nv* fields) const {
  size_t count = 0;
  fields[count++] = CopiedField("grpc-status", ending_->code);
  if (!ending_->message.empty()) {
    fields[count++] = CopiedField("grpc-message", ending_->message);
  }
  if (!ending_->details.empty()) {
    fields[count++] = CopiedField("grpc-status-details-bin", ending_->details);
  }
  return count;
}

void ServerCall::SubmitTrailersOnly(int http_status) {
  responded_ = true;
  const std::string status = std::to_string(http_status);
  std::array<nghttp2_nv, 5> fields = {CopiedField(":status", status), ContentTypeField()};
  const size_t count = 2 + AddTrailers(fields.data() + 2);
  nghttp2_submit_response(connection_.session(), stream_id_, fields.data(), count, nullptr);
}

void ServerCall::SubmitTrailers() {
  std::array<nghttp2_nv, 3> fields;
  const size_t count = AddTrailers(fields.data());
  nghttp2_submit_trailer(connection_.session(), stream_id_, fields.data(), count);
}

ssize_t ServerCall::ReadFor(size_t limit, uint32_t& flags) {
  const size_t size = Available(limit);
  const bool last = ending_ != nullptr && size == pending_;
  if (size == 0 && !last) {
    deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (last) {
    flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    SubmitTrailers();
  }
  return static_cast<ssize_t>(size);
}

size_t ServerCall::Available(size_t limit) const {
  if (pending_ <= limit && queue_.size() - next_ <= OutputBatch::kMaxFrameParts) {
    return pending_;
  }
  size_t size = 0;
  for (size_t i = next_; i < queue_.size() && i - next_ < OutputBatch::kMaxFrameParts; ++i) {
    size += queue_[i]->bytes().size() - (i == next_ ? offset_ : 0);
  }
  return std::min(size, limit);
}

void ServerCall::Take(size_t size, OutputBatch& batch) {
  pending_ -= size;
  while (size > 0) {
    SharedFrame& frame = queue_[next_];
    const std::string_view part = frame->bytes().substr(offset_, size);
    connection_.DropPending(part.size());
    size -= part.size();
    offset_ += part.size();
    if (offset_ < frame->bytes().size()) {
      batch.AddFrame(frame, part);
    } else {
      batch.AddFrame(std::move(frame), part);
      ++next_;
      offset_ = 0;
    }
  }
  if (next_ == queue_.size()) {
    std::vector<SharedFrame>().swap(queue_);
    next_ = 0;
  } else if (next_ >= kCompactAfter) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(next_));
    next_ = 0;
  }
}

}  // namespace assay::rpc
