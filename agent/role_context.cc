// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/role_context.h"

#include <string>
#include <utility>

#include "assay/roles.pb.h"
#include "base/log.h"

namespace assay {
namespace {

absl::StatusOr<log::Options> ToLogOptions(const roles::LogOptions& options) {
  if (options.level() < 0 || options.level() > static_cast<int>(log::Level::kError) ||
      options.format() < 0 || options.format() > static_cast<int>(log::Format::kJson)) {
    return InvalidArgument("the monitor sent log options that do not exist");
  }
  return log::Options{.level = static_cast<log::Level>(options.level()),
                      .format = static_cast<log::Format>(options.format()),
                      .file = {}};
}

}  // namespace

absl::Status RoleBody::OnListen(roles::Endpoint endpoint, UniqueFd listener) {
  return PermissionDenied(
      "this role was given socket {} to listen on, and takes none (endpoint {})", listener.get(),
      static_cast<int>(endpoint));
}

absl::StatusOr<std::unique_ptr<RoleContext>> RoleContext::Create(roles::Role self,
                                                                 UniqueFd control) {
  std::unique_ptr<RoleContext> context(new RoleContext(self));
  RoleContext* raw = context.get();
  ASSIGN_OR_RETURN(context->loop_, EventLoop::Create(context->clock_));
  ASSIGN_OR_RETURN(
      context->control_,
      Channel::Create(
          *context->loop_, std::move(control),
          [raw](std::string_view bytes, UniqueFd fd) { raw->OnMessage(bytes, std::move(fd)); },
          [raw](const absl::Status& why) { raw->Fail(WithContext(why, "the monitor is gone")); }));
  return context;
}

RoleContext::RoleContext(roles::Role self) : self_(self) {}

RoleContext::~RoleContext() = default;

int RoleContext::Run(RoleBody& body) {
  body_ = &body;
  loop_->Run();
  body_ = nullptr;
  return exit_status_;
}

void RoleContext::Ready() {
  if (std::exchange(ready_, true)) {
    return;
  }
  roles::RoleToMonitor message;
  message.mutable_ready();
  if (absl::Status sent = control_->Send(message); !sent.ok()) {
    Fail(sent);
  }
}

void RoleContext::ExitAgent(int code, std::string_view reason) {
  roles::RoleToMonitor message;
  message.mutable_exit()->set_code(code);
  message.mutable_exit()->set_reason(std::string(reason.substr(0, 4096)));
  if (absl::Status sent = control_->Send(message); !sent.ok()) {
    Fail(sent);
  }
}

void RoleContext::Fail(const absl::Status& why) {
  log::Error("Role failed", {{"role", SpecOf(self_).name}, {"error", why}});
  exit_status_ = 1;
  loop_->Stop();
}

void RoleContext::OnMessage(std::string_view bytes, UniqueFd fd) {
  roles::MonitorToRole message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    Fail(InvalidArgument("the monitor sent a message that does not parse"));
    return;
  }
  absl::Status done = CheckPermitted(roles::MONITOR, self_, message.what_case());
  if (done.ok()) {
    done = Dispatch(message, std::move(fd));
  }
  if (!done.ok()) {
    Fail(done);
  }
}

absl::Status RoleContext::Dispatch(const roles::MonitorToRole& message, UniqueFd fd) {
  if (body_ == nullptr || started_ == message.has_start()) {
    return FailedPrecondition("the monitor sent message {} at the wrong time",
                              static_cast<int>(message.what_case()));
  }
  if ((message.has_link() || message.has_listen()) != fd.valid()) {
    return InvalidArgument("the monitor sent message {} with a wrong count of descriptors",
                           static_cast<int>(message.what_case()));
  }
  switch (message.what_case()) {
    case roles::MonitorToRole::kStart:
      return Start(message.start());
    case roles::MonitorToRole::kLink:
      return body_->OnLink(message.link().peer(), std::move(fd));
    case roles::MonitorToRole::kListen:
      return body_->OnListen(message.listen().endpoint(), std::move(fd));
    case roles::MonitorToRole::kStop:
      body_->OnStop();
      loop_->Stop();
      return absl::OkStatus();
    case roles::MonitorToRole::WHAT_NOT_SET:
      break;
  }
  return Internal("a message that the table of roles permits is not served");
}

absl::Status RoleContext::Start(const roles::Start& start) {
  started_ = true;
  ASSIGN_OR_RETURN(const log::Options options, ToLogOptions(start.log()));
  RETURN_IF_ERROR(log::Open(options));
  return body_->OnStart(start);
}

}  // namespace assay
