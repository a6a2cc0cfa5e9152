// SPDX-License-Identifier: GPL-3.0-or-later
// A conversation with the upstream on a bidirectional stream, ended in such a way that the status
// is the upstream's where it was the upstream that ended it, and ours where it was us.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <utility>

#include "base/status.h"
#include "upstream/call_status.h"

namespace assay {

template <typename Request, typename Response>
class BidiCall final {
 public:
  using Stream = grpc::ClientReaderWriter<Request, Response>;

  // The context is the stream's and must outlive it.
  BidiCall(grpc::ClientContext& context, std::unique_ptr<Stream> stream)
      : context_(context), stream_(std::move(stream)) {}

  // Failed once the upstream has ended the call; Finish then has its status.
  absl::Status Write(const Request& request) { return Went(stream_->Write(request)); }
  absl::Status Read(Response& response) {
    const bool went = stream_->Read(&response);
    answered_ = answered_ || went;
    return Went(went);
  }
  // Whether the upstream has said anything.
  bool answered() const { return answered_; }

  // Ends the call, which has come to conversed on this side, and returns what it came to in all.
  absl::Status Finish(const absl::Status& conversed) {
    if (conversed.ok()) {
      stream_->WritesDone();
    } else if (!ended_) {
      context_.TryCancel();
    }
    const grpc::Status status = stream_->Finish();
    if (!conversed.ok() && (!ended_ || status.ok())) {
      return conversed;
    }
    return CallStatus(status.error_code(), status.error_message(), status.error_details());
  }

 private:
  absl::Status Went(bool went) {
    if (!went) {
      ended_ = true;
      return Internal("the upstream ended the call in between");
    }
    return absl::OkStatus();
  }

  grpc::ClientContext& context_;
  const std::unique_ptr<Stream> stream_;
  bool ended_ = false;
  bool answered_ = false;
};

}  // namespace assay
