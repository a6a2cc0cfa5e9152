// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/session.h"

#include <google/protobuf/empty.pb.h>

#include <thread>
#include <utility>

#include "base/mutex.h"
#include "plugin/go_plugin.grpc.pb.h"
#include "plugins/channel_client.h"
#include "spire/service/common/config/v1/config.grpc.pb.h"
#include "spire/service/private/init/v1/init.grpc.pb.h"

namespace assay {
namespace {

namespace config = spire::service::common::config::v1;
namespace init = spire::service::private_::init::v1;

constexpr std::string_view kConfigService = "spire.service.common.config.v1.Config";
// The number under which SPIRE's SDK asks the broker for the host's services.
constexpr uint32_t kHostServices = 1;
constexpr int kMaxServices = 64;
constexpr size_t kMaxServiceName = 256;

// The two streams that stay open beside the calls: on the one the broker is told where the host's
// services are, on the other the plugin sends what it prints, which is dropped; unread it would
// make the plugin wait. A thread of its own reads both until they end.
class Streams final {
 public:
  Streams(const std::shared_ptr<grpc::Channel>& channel, const std::string& host_socket)
      : broker_stub_(plugin::GRPCBroker::NewStub(channel)),
        printed_stub_(plugin::GRPCStdio::NewStub(channel)),
        broker_(broker_stub_->PrepareAsyncStartStream(&broker_context_, &queue_)),
        printed_(printed_stub_->PrepareAsyncStreamStdio(&printed_context_, {}, &queue_)) {
    told_.set_service_id(kHostServices);
    told_.set_network("unix");
    told_.set_address(host_socket);
    broker_->StartCall(Tag(kBegun));
    printed_->StartCall(Tag(kReading));
    thread_ = std::thread([this] { Run(); });
  }
  ~Streams() {
    {
      // Nothing may be begun on a queue that is shut down.
      MutexLock lock(mutex_);
      is_ending_ = true;
    }
    broker_context_.TryCancel();
    printed_context_.TryCancel();
    queue_.Shutdown();
    thread_.join();
  }
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

 private:
  // What has been done when its tag comes out of the queue.
  enum Done : uintptr_t { kBegun = 1, kTold, kHearing, kReading };
  static void* Tag(Done done) { return reinterpret_cast<void*>(done); }

  // At most one of each is under way, and none is begun once a stream has ended.
  void Run() {
    void* tag = nullptr;
    for (bool ok = false; queue_.Next(&tag, &ok);) {
      MutexLock lock(mutex_);
      if (ok && !is_ending_) {
        GoOn(static_cast<Done>(reinterpret_cast<uintptr_t>(tag)));
      }
    }
  }

  void GoOn(Done done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    switch (done) {
      case kBegun:
        broker_->Write(told_, Tag(kTold));
        broker_->Read(&heard_, Tag(kHearing));
        return;
      case kTold:
        return;
      case kHearing:  // Sockets of the plugin's own, which nobody here uses.
        broker_->Read(&heard_, Tag(kHearing));
        return;
      case kReading:
        printed_->Read(&read_, Tag(kReading));
        return;
    }
  }

  const std::unique_ptr<plugin::GRPCBroker::Stub> broker_stub_;
  const std::unique_ptr<plugin::GRPCStdio::Stub> printed_stub_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext broker_context_;
  grpc::ClientContext printed_context_;
  const std::unique_ptr<grpc::ClientAsyncReaderWriter<plugin::ConnInfo, plugin::ConnInfo>> broker_;
  const std::unique_ptr<grpc::ClientAsyncReader<plugin::StdioData>> printed_;
  plugin::ConnInfo told_;
  plugin::ConnInfo heard_;
  plugin::StdioData read_;
  Mutex mutex_;
  bool is_ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace

struct PluginSession::Impl {
  Impl(UniqueFd socket, const std::string& host_socket)
      : channel(MakePluginChannel(std::move(socket))),
        init_stub(init::Init::NewStub(channel)),
        streams(channel, host_socket) {}

  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<init::Init::Stub> init_stub;
  Streams streams;
};

PluginSession::PluginSession(std::unique_ptr<Impl> impl, Options options)
    : impl_(std::move(impl)), options_(std::move(options)) {}

PluginSession::~PluginSession() = default;

absl::StatusOr<std::unique_ptr<PluginSession>> PluginSession::Begin(UniqueFd socket,
                                                                    Options options) {
  auto impl = std::make_unique<Impl>(std::move(socket), options.host_socket);
  std::unique_ptr<PluginSession> session(new PluginSession(std::move(impl), std::move(options)));
  grpc::ClientContext context;
  SetDeadline(context, kLoadTimeout);
  init::InitRequest request;
  init::InitResponse response;
  request.mutable_host_service_names()->Add(session->options_.host_services.begin(),
                                            session->options_.host_services.end());
  RETURN_IF_ERROR(PluginStatus(session->options_.plugin.ToString(),
                               session->impl_->init_stub->Init(&context, request, &response)));
  RETURN_IF_ERROR(session->TakeServices(
      {response.plugin_service_names().begin(), response.plugin_service_names().end()}));
  return session;
}

absl::Status PluginSession::TakeServices(const std::vector<std::string>& names) {
  if (names.size() > kMaxServices) {
    return FailedPrecondition("plugin has {} services, at most {} are looked at", names.size(),
                              kMaxServices);
  }
  bool is_of_type = false;
  for (const std::string& name : names) {
    if (name == ServiceOf(options_.plugin.type)) {
      is_of_type = true;
    } else if (name == kConfigService) {
      takes_options_ = true;
    } else {
      unknown_services_.push_back(name.substr(0, kMaxServiceName));
    }
  }
  return is_of_type ? absl::OkStatus()
                    : FailedPrecondition("plugin does not have the service {}",
                                         ServiceOf(options_.plugin.type));
}

absl::Status PluginSession::Configure(const std::optional<Secret>& data) {
  if (!takes_options_) {
    return data.has_value() ? FailedPrecondition(
                                  "plugin takes no options, and plugin_data has some: remove them")
                            : absl::OkStatus();
  }
  grpc::ClientContext context;
  SetDeadline(context, kLoadTimeout);
  config::ConfigureRequest request;
  config::ConfigureResponse response;
  request.mutable_core_configuration()->set_trust_domain(options_.trust_domain);
  if (data.has_value()) {
    request.set_hcl_configuration(std::string(data->Reveal()));
  }
  const auto stub = config::Config::NewStub(impl_->channel);
  const grpc::Status status = stub->Configure(&context, request, &response);
  Wipe(request.mutable_hcl_configuration()->data(), request.hcl_configuration().size());
  return PluginStatus(options_.plugin.ToString(), status);
}

void PluginSession::End() {
  {
    grpc::ClientContext context;
    SetDeadline(context, kEndTimeout / 2);
    init::DeinitResponse response;
    // An older plugin does not have the call, and there is nobody left to be told of a failure.
    static_cast<void>(impl_->init_stub->Deinit(&context, init::DeinitRequest(), &response));
  }
  grpc::ClientContext context;
  SetDeadline(context, kEndTimeout / 2);
  plugin::Empty response;
  const auto stub = plugin::GRPCController::NewStub(impl_->channel);
  static_cast<void>(stub->Shutdown(&context, plugin::Empty(), &response));
}

}  // namespace assay
