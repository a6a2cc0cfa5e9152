// SPDX-License-Identifier: GPL-3.0-or-later
// A plugin's role: it has the rights of its plugin and no others, starts the plugin's process,
// brings it up, and gives the role that uses the plugin connections to it. What the plugin prints
// and logs is read here, where there is nothing to gain. It ends with the plugin, and the monitor
// starts both anew.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/role_context.h"
#include "agent/role_main.h"
#include "agent/roles.h"
#include "agent/worker_threads.h"
#include "assay/roles.pb.h"
#include "base/log.h"
#include "base/sandbox/channel.h"
#include "plugins/host_services.h"
#include "plugins/log_limit.h"
#include "plugins/log_line.h"
#include "plugins/process.h"
#include "plugins/program.h"
#include "plugins/session.h"
#include "plugins/socket_folder.h"
#include "rpc/listen_socket.h"
#include "rpc/server.h"

namespace assay {
namespace {

constexpr std::string_view kSubsystem = "catalog";
// Of the plugin to its host's services; it needs one.
constexpr size_t kHostConnections = 64;
constexpr absl::Duration kExitGrace = absl::Seconds(2);

std::optional<Secret> DataOf(const roles::PluginStart& start) {
  return start.has_data() ? std::make_optional<Secret>(start.data()) : std::nullopt;
}

class PluginRole final : public RoleBody {
 public:
  explicit PluginRole(RoleContext& context)
      : context_(context), log_limit_(context.loop(), context.clock(), [this](uint64_t dropped) {
          Log(log::Level::kWarn, "Plugin logs too much: lines were dropped", {{"lines", dropped}});
        }) {}

  absl::Status OnStart(const roles::Start& start) override;
  absl::Status OnReload(const roles::Start& start) override;
  absl::Status OnLink(roles::Role peer, UniqueFd channel) override;
  // Has the plugin end in order, as far as it will in a few seconds.
  void End();

 private:
  using SharedSession = std::shared_ptr<PluginSession>;

  absl::Status Begin(const roles::PluginStart& start);
  absl::Status ServeHost();
  void OnHandshake(const absl::StatusOr<PluginAddress>& address);
  void Load(UniqueFd socket);
  void OnLoaded(const absl::StatusOr<SharedSession>& loaded);
  void Configure();
  void OnLog(std::string_view line, bool cut);
  void OnExit(const std::string& how);
  void GiveUp(const absl::Status& why);
  void OnRequest(std::string_view bytes, const UniqueFd& fd);
  void Connect();
  void Log(log::Level level, const log::Phrase& phrase, std::vector<log::Field> fields) const;

  RoleContext& context_;
  PluginName name_;
  std::string trust_domain_;
  bool has_served_ = false;
  std::optional<Secret> data_;  // The newest.
  bool data_is_new_ = false;    // The plugin has not got it.
  PluginSocketFolder folder_;
  rpc::Registry host_registry_;
  std::vector<std::string> host_services_;
  std::unique_ptr<rpc::Server> host_server_;
  LogLimit log_limit_;
  PluginLogReader log_reader_;
  std::optional<PluginAddress> address_;
  SharedSession session_;  // Once it is loaded.
  roles::Role user_ = roles::ROLE_UNSPECIFIED;
  std::unique_ptr<Channel> channel_;
  bool wanted_ = false;  // A connection, by the user.
  bool is_busy_ = false;
  WorkerThreads worker_{1, 4};
  // Last: with it ends what the worker waits for.
  std::unique_ptr<PluginProcess> process_;
};

absl::Status PluginRole::OnStart(const roles::Start& start) {
  const roles::PluginStart& plugin = start.plugin();
  name_ = {static_cast<PluginType>(plugin.type()), plugin.name()};
  trust_domain_ = plugin.trust_domain();
  has_served_ = plugin.has_served();
  data_ = DataOf(plugin);
  if (const absl::Status begun = Begin(plugin); !begun.ok()) {
    GiveUp(begun);
  }
  return absl::OkStatus();
}

absl::Status PluginRole::Begin(const roles::PluginStart& start) {
  if (start.checksum().empty()) {
    Log(log::Level::kWarn, "Plugin checksum not configured", {});
  }
  ASSIGN_OR_RETURN(const PluginProgram program,
                   PluginProgram::Open(start.command(), start.checksum()));
  RETURN_IF_ERROR(folder_.Make());
  RETURN_IF_ERROR(ServeHost());
  ASSIGN_OR_RETURN(
      process_,
      PluginProcess::Start(context_.loop(), program,
                           {.cookie = std::string(NameOf(name_.type)),
                            .socket_folder = folder_.path(),
                            .arguments = {start.arguments().begin(), start.arguments().end()}},
                           {.on_handshake = [this](const auto& address) { OnHandshake(address); },
                            .on_log = [this](std::string_view line, bool cut) { OnLog(line, cut); },
                            .on_exit = [this](const std::string& how) { OnExit(how); }}));
  return absl::OkStatus();
}

absl::Status PluginRole::ServeHost() {
  host_services_ = AddHostServices(host_registry_);
  rpc::Server::Options options;
  options.limits.max_connections = kHostConnections;
  ASSIGN_OR_RETURN(host_server_,
                   rpc::Server::Create(context_.loop(), host_registry_, std::move(options)));
  ASSIGN_OR_RETURN(UniqueFd listener, rpc::ListenUnix(folder_.path() + "/host", 0600));
  return host_server_->Listen(std::move(listener));
}

void PluginRole::OnHandshake(const absl::StatusOr<PluginAddress>& address) {
  absl::StatusOr<UniqueFd> socket = address.ok() ? ConnectTo(*address) : address.status();
  if (!socket.ok()) {
    GiveUp(socket.status());
    return;
  }
  address_ = *address;
  Load(*std::move(socket));
}

void PluginRole::Load(UniqueFd socket) {
  is_busy_ = true;
  PluginSession::Options options{.plugin = name_,
                                 .trust_domain = trust_domain_,
                                 .host_socket = folder_.path() + "/host",
                                 .host_services = host_services_};
  auto data = std::make_shared<const std::optional<Secret>>(
      data_.has_value() ? std::make_optional(data_->Clone()) : std::nullopt);
  data_is_new_ = false;
  worker_.Run(0, [this, options = std::move(options), data,
                  shared = std::make_shared<UniqueFd>(std::move(socket))] {
    absl::StatusOr<SharedSession> loaded = PluginSession::Begin(std::move(*shared), options);
    if (loaded.ok()) {
      if (const absl::Status configured = (*loaded)->Configure(*data); !configured.ok()) {
        loaded = configured;
      }
    }
    context_.loop().Post([this, loaded = std::move(loaded)] { OnLoaded(loaded); });
  });
}

void PluginRole::OnLoaded(const absl::StatusOr<SharedSession>& loaded) {
  is_busy_ = false;
  if (!loaded.ok()) {
    GiveUp(loaded.status());
    return;
  }
  session_ = *loaded;
  for (const std::string& service : session_->unknown_services()) {
    Log(log::Level::kWarn, "Unsupported plugin service found", {{"plugin_service", service}});
  }
  Log(log::Level::kInfo, "Plugin loaded", {{"external", "true"}});
  context_.Ready();
  if (wanted_) {
    Connect();
  }
  if (data_is_new_) {
    Configure();
  }
}

absl::Status PluginRole::OnReload(const roles::Start& start) {
  std::optional<Secret> data = DataOf(start.plugin());
  const bool is_same =
      data.has_value() == data_.has_value() && (!data.has_value() || *data == *data_);
  if (is_same) {
    Log(log::Level::kInfo, "Plugin not reconfigured since the config is unchanged", {});
    return absl::OkStatus();
  }
  data_ = std::move(data);
  data_is_new_ = true;
  if (session_ != nullptr && !is_busy_) {
    Configure();
  }
  return absl::OkStatus();
}

void PluginRole::Configure() {
  is_busy_ = true;
  data_is_new_ = false;
  auto data = std::make_shared<const std::optional<Secret>>(
      data_.has_value() ? std::make_optional(data_->Clone()) : std::nullopt);
  worker_.Run(0, [this, session = session_, data] {
    context_.loop().Post([this, configured = session->Configure(*data)] {
      is_busy_ = false;
      if (configured.ok()) {
        Log(log::Level::kInfo, "Plugin reconfigured", {});
      } else {
        Log(log::Level::kError, "Failed to reconfigure plugin", {{"error", configured}});
      }
      if (data_is_new_) {
        Configure();
      }
    });
  });
}

absl::Status PluginRole::OnLink(roles::Role peer, UniqueFd channel) {
  RETURN_IF_ERROR(CheckPermitted(roles::PLUGIN, peer, kWholeMessage));
  user_ = peer;
  wanted_ = false;
  ASSIGN_OR_RETURN(channel_,
                   Channel::Create(
                       context_.loop(), std::move(channel),
                       [this](std::string_view bytes, const UniqueFd& fd) { OnRequest(bytes, fd); },
                       [this](const absl::Status& why) { context_.LinkEnded(user_, why); }));
  return absl::OkStatus();
}

void PluginRole::OnRequest(std::string_view bytes, const UniqueFd& fd) {
  roles::PluginRequest request;
  absl::Status permitted = CheckPermitted(user_, roles::PLUGIN, kWholeMessage);
  if (permitted.ok() &&
      (fd.valid() || !request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
       !request.connect())) {
    permitted = InvalidArgument("a request that does not parse, or with a descriptor");
  }
  if (!permitted.ok()) {
    context_.PeerBrokeRules(user_, permitted);
    return;
  }
  wanted_ = true;
  if (session_ != nullptr) {
    Connect();
  }
}

void PluginRole::Connect() {
  absl::StatusOr<UniqueFd> socket = ConnectTo(*address_);
  if (!socket.ok()) {
    GiveUp(socket.status());
    return;
  }
  wanted_ = false;
  roles::PluginReply reply;
  reply.set_connected(true);
  if (absl::Status sent = channel_->Send(reply, socket->get()); !sent.ok()) {
    GiveUp(sent);
  }
}

void PluginRole::OnLog(std::string_view text, bool cut) {
  if (!log_limit_.Admit(text.size())) {
    return;
  }
  PluginLogLine line = log_reader_.Read(text, cut);
  std::vector<log::Field> fields;
  for (auto& [name, value] : line.fields) {
    // As the reference calls fields that would be a line's own.
    const bool clashes = name == "level" || name == "msg" || name == "time" ||
                         name == "plugin_name" || name == "plugin_type" || name == "subsystem_name";
    name = clashes ? "fields." + name : name;
    fields.emplace_back(name, value);
  }
  Log(line.level, line.message, std::move(fields));
}

void PluginRole::OnExit(const std::string& how) {
  log_limit_.Tell();
  GiveUp(Unavailable("plugin {} has ended: {}", name_.ToString(), how));
}

// A plugin that has been loaded once may come back; one that never was is the operator's to mend,
// and the agent does not run without it.
void PluginRole::GiveUp(const absl::Status& why) {
  if (session_ != nullptr || has_served_) {
    context_.Fail(why);
    return;
  }
  if (!std::exchange(has_served_, true)) {
    Log(log::Level::kError, "Agent cannot start", {{"error", why}});
    context_.ExitAgent(1, Message(why));
  }
}

void PluginRole::Log(log::Level level, const log::Phrase& phrase,
                     std::vector<log::Field> fields) const {
  fields.emplace_back("plugin_name", name_.name);
  fields.emplace_back("plugin_type", NameOf(name_.type));
  fields.emplace_back("subsystem_name", kSubsystem);
  log::Write(level, phrase, std::move(fields));
}

void PluginRole::End() {
  if (process_ != nullptr && process_->is_running() && session_ != nullptr && !is_busy_) {
    session_->End();
    process_->AwaitExit(kExitGrace);
  }
}

}  // namespace

int RunPlugin(UniqueFd control) {
  absl::StatusOr<std::unique_ptr<RoleContext>> context =
      RoleContext::Create(roles::PLUGIN, std::move(control));
  if (!context.ok()) {
    log::Error("Role failed", {{"role", "plugin"}, {"error", context.status()}});
    return 1;
  }
  PluginRole role(**context);
  const int status = (*context)->Run(role);
  role.End();
  return status;
}

}  // namespace assay
