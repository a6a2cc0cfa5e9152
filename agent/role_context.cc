// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/role_context.h"

#include <string>
#include <utility>

#include "agent/sealed_start.h"
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
                      .file = {},
                      .source_location = options.source_location()};
}

absl::Status OpenLog(const roles::Start& start) {
  ASSIGN_OR_RETURN(const log::Options options, ToLogOptions(start.log()));
  return log::Open(options);
}

}  // namespace

absl::Status RoleBody::OnReload(const roles::Start& /*start*/) { return absl::OkStatus(); }

absl::Status RoleBody::OnPluginLink(uint32_t plugin, UniqueFd /*channel*/) {
  return PermissionDenied("this role is not linked to plugin {}", plugin);
}

absl::Status RoleBody::OnListen(roles::Endpoint endpoint, UniqueFd listener) {
  return PermissionDenied(
      "this role was given socket {} to listen on, and takes none (endpoint {})", listener.get(),
      static_cast<int>(endpoint));
}

void RoleBody::OnAuditState(const roles::AuditState& /*state*/) {}

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

void RoleContext::SetLogLevel(log::Level level) {
  roles::RoleToMonitor message;
  message.set_log_level(static_cast<int32_t>(level));
  if (absl::Status sent = control_->Send(message); !sent.ok()) {
    Fail(sent);
  }
}

absl::Status RoleContext::TellHandedOut(const roles::HandedOutKeys& keys) {
  roles::RoleToMonitor message;
  *message.mutable_handed_out() = keys;
  return control_->Send(message);
}

void RoleContext::LinkEnded(roles::Role peer, const absl::Status& why, uint32_t plugin) {
  if (absl::IsInvalidArgument(why) || absl::IsPermissionDenied(why)) {
    PeerBrokeRules(peer, why, plugin);
    return;
  }
  log::Debug("Role is gone", {{"role", SpecOf(peer).name}, {"error", why}});
  const PeerKey key(peer, plugin);
  Link& link = links_[key];
  loop_->Cancel(link.grace);
  link.grace = loop_->After(kRelinkGrace, [this, key] { ReportBroken(key); });
}

void RoleContext::PeerBrokeRules(roles::Role peer, const absl::Status& why, uint32_t plugin) {
  log::Error("Role broke the rules of its channel", {{"role", SpecOf(peer).name}, {"error", why}});
  ReportBroken({peer, plugin});
}

void RoleContext::ReportBroken(const PeerKey& peer) {
  Link& link = links_[peer];
  loop_->Cancel(std::exchange(link.grace, 0));
  roles::RoleToMonitor message;
  message.mutable_broken()->set_peer(peer.first);
  message.mutable_broken()->set_plugin(peer.second);
  message.mutable_broken()->set_link(link.number);
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
  const bool with_fd = message.has_link() || message.has_listen() ||
                       message.start().has_identity() || message.reload().has_identity() ||
                       message.start().has_plugin() || message.reload().has_plugin();
  if (with_fd != fd.valid()) {
    return InvalidArgument("the monitor sent message {} with a wrong count of descriptors",
                           static_cast<int>(message.what_case()));
  }
  switch (message.what_case()) {
    case roles::MonitorToRole::kStart:
      started_ = true;
      return Configure(message.start(), fd, &RoleBody::OnStart);
    case roles::MonitorToRole::kReload:
      if (message.reload().role_case() == roles::Start::ROLE_NOT_SET) {
        return OpenLog(message.reload());
      }
      return Configure(message.reload(), fd, &RoleBody::OnReload);
    case roles::MonitorToRole::kLogLevel:
      log::SetLevel(static_cast<log::Level>(message.log_level()));
      return absl::OkStatus();
    case roles::MonitorToRole::kLink:
      return TakeLink(message, std::move(fd));
    case roles::MonitorToRole::kListen:
      return body_->OnListen(message.listen().endpoint(), std::move(fd));
    case roles::MonitorToRole::kAudit:
      body_->OnAuditState(message.audit());
      return absl::OkStatus();
    case roles::MonitorToRole::kStop:
      loop_->Stop();
      return absl::OkStatus();
    case roles::MonitorToRole::WHAT_NOT_SET:
      break;
  }
  return Internal("a message that the table of roles permits is not served");
}

absl::Status RoleContext::Configure(roles::Start start, const UniqueFd& fd,
                                    absl::Status (RoleBody::*take)(const roles::Start& start)) {
  RETURN_IF_ERROR(OpenLog(start));
  if (start.has_identity()) {
    RETURN_IF_ERROR(OpenSealedStart(fd.get(), *start.mutable_identity()));
  } else if (start.has_plugin()) {
    RETURN_IF_ERROR(OpenSealedStart(fd.get(), *start.mutable_plugin()));
  }
  const absl::Status taken = (body_->*take)(start);
  if (start.has_identity()) {
    WipeStart(*start.mutable_identity());
  } else if (start.has_plugin()) {
    WipeStart(*start.mutable_plugin());
  }
  return taken;
}

absl::Status RoleContext::TakeLink(const roles::MonitorToRole& message, UniqueFd fd) {
  const uint32_t plugin = message.link().plugin();
  Link& link = links_[{message.link().peer(), plugin}];
  loop_->Cancel(std::exchange(link.grace, 0));
  link.number = message.link().number();
  return message.link().peer() == roles::PLUGIN
             ? body_->OnPluginLink(plugin, std::move(fd))
             : body_->OnLink(message.link().peer(), std::move(fd));
}

}  // namespace assay
