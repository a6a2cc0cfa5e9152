// SPDX-License-Identifier: GPL-3.0-or-later
// Proxies on an agent's socket, any agent's: so many connections, on each a stream of SDS for the
// default X509-SVID and the own bundle, which takes every answer. Prints, once a while, how many
// answers came and what memory the agent's process and its descendants have. JSON lines on standard
// output.
//
//   sds-bench -socket S -pid P [-streams 900] [-at-once 64] [-seconds 60] [-every 10]
#include <sys/epoll.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "envoy/service/discovery/v3/discovery.pb.h"
#include "tests/bench/load_client.h"
#include "tests/bench/process_usage.h"

namespace assay::bench {
namespace {

namespace discovery = envoy::service::discovery::v3;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr char kStream[] = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";
// As Envoy 1.40 has them.
constexpr int kExtensions = 516, kExtensionsField = 9, kExtensionBytes = 130;
constexpr double kOpenSeconds = 120;

struct Options {
  std::string socket;
  pid_t pid = 0;
  size_t streams = 900;
  size_t at_once = 64;  // Connections that wait for their first answer.
  double seconds = 60, every = 10;
};

double SecondsSince(SteadyTime start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

discovery::DiscoveryRequest FirstRequest() {
  discovery::DiscoveryRequest request;
  request.add_resource_names("default");
  request.add_resource_names("ROOTCA");
  auto& version = *request.mutable_node()->mutable_user_agent_build_version()->mutable_version();
  version.set_major_number(1);
  version.set_minor_number(40);
  // Envoy tells all its extensions.
  auto& node = *request.mutable_node();
  for (int i = 0; i < kExtensions; ++i) {
    node.GetReflection()->MutableUnknownFields(&node)->AddLengthDelimited(
        kExtensionsField, std::string(kExtensionBytes, 'x'));
  }
  return request;
}

class Proxies {
 public:
  explicit Proxies(Options options)
      : options_(std::move(options)), epoll_(epoll_create1(0)), proxies_(options_.streams) {}

  int Run();

 private:
  struct Proxy {
    std::unique_ptr<LoadClient> client;
    size_t answers = 0;
  };

  bool OpenAll();
  bool Open(size_t index);
  void OnAnswer(Proxy& proxy);
  void Poll(int timeout_ms);
  void Print(double seconds);

  const Options options_;
  const UniqueFd epoll_;
  std::vector<Proxy> proxies_;
  size_t answered_ = 0, answers_ = 0, without_resources_ = 0, ended_ = 0;
  uint64_t pss_before_ = 0;
  double cpu_before_ = 0;
};

bool Proxies::Open(size_t index) {
  auto client = LoadClient::Connect(options_.socket);
  if (!client.ok()) {
    return false;
  }
  Proxy& proxy = proxies_[index];
  proxy.client = std::move(*client);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = index;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, proxy.client->fd(), &event);
  return proxy.client
      ->Open(
          kStream, FirstRequest().SerializeAsString(), [this, &proxy](size_t) { OnAnswer(proxy); },
          [this](int) { ++ended_; })
      .ok();
}

void Proxies::OnAnswer(Proxy& proxy) {
  discovery::DiscoveryResponse answer;
  answer.ParseFromString(proxy.client->message());
  ++answers_;
  without_resources_ += answer.resources_size() < 2 ? 1 : 0;
  answered_ += proxy.answers++ == 0 ? 1 : 0;
  discovery::DiscoveryRequest taken;
  taken.add_resource_names("default");
  taken.add_resource_names("ROOTCA");
  taken.set_version_info(answer.version_info());
  taken.set_response_nonce(answer.nonce());
  proxy.client->Say(taken.SerializeAsString());
}

void Proxies::Poll(int timeout_ms) {
  epoll_event events[256];
  const int ready = epoll_wait(epoll_.get(), events, 256, timeout_ms);
  for (int i = 0; i < ready; ++i) {
    Proxy& proxy = proxies_[events[i].data.u64];
    if (proxy.client && !proxy.client->OnReady()) {
      proxy.client.reset();
    }
  }
}

bool Proxies::OpenAll() {
  const SteadyTime start = std::chrono::steady_clock::now();
  size_t opened = 0;
  while (answered_ < proxies_.size() && SecondsSince(start) < kOpenSeconds) {
    while (opened < proxies_.size() && opened - answered_ < options_.at_once) {
      if (!Open(opened++)) {
        return false;
      }
    }
    Poll(100);
  }
  return answered_ == proxies_.size();
}

void Proxies::Print(double seconds) {
  const Usage now = UsageOf(options_.pid);
  const auto streams = static_cast<double>(proxies_.size());
  const nlohmann::json line = {
      {"seconds", static_cast<int>(seconds)},
      {"streams", proxies_.size()},
      {"ended", ended_},
      {"answers_per_stream", static_cast<double>(answers_) / streams},
      {"answers_without_all", without_resources_},
      {"agent_cpu_us_per_answer",
       (now.cpu_microseconds - cpu_before_) / static_cast<double>(answers_)},
      {"pss_mb", static_cast<double>(now.pss_bytes) / 1e6},
      {"bytes_per_stream",
       (static_cast<double>(now.pss_bytes) - static_cast<double>(pss_before_)) / streams}};
  std::puts(line.dump().c_str());
  std::fflush(stdout);
}

int Proxies::Run() {
  const Usage before = UsageOf(options_.pid);
  pss_before_ = before.pss_bytes;
  cpu_before_ = before.cpu_microseconds;
  if (!OpenAll()) {
    std::fprintf(stderr, "%zu of %zu streams were answered, %zu have ended\n", answered_,
                 proxies_.size(), ended_);
    return 1;
  }
  const SteadyTime start = std::chrono::steady_clock::now();
  Print(0);
  for (double next = options_.every; next <= options_.seconds; next += options_.every) {
    while (SecondsSince(start) < next) {
      Poll(100);
    }
    Print(next);
  }
  return ended_ == 0 && without_resources_ == 0 ? 0 : 1;
}

bool Parse(int argc, char** argv, Options& options) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "-socket") {
      options.socket = value;
    } else if (name == "-pid") {
      options.pid = std::atoi(value.c_str());
    } else if (name == "-streams") {
      options.streams = static_cast<size_t>(std::max(1, std::atoi(value.c_str())));
    } else if (name == "-at-once") {
      options.at_once = static_cast<size_t>(std::max(1, std::atoi(value.c_str())));
    } else if (name == "-seconds") {
      options.seconds = std::atof(value.c_str());
    } else if (name == "-every") {
      options.every = std::max(1.0, std::atof(value.c_str()));
    } else {
      return false;
    }
  }
  return argc % 2 == 1 && options.pid > 0 && !options.socket.empty();
}

int Main(int argc, char** argv) {
  Options options;
  if (!Parse(argc, argv, options)) {
    std::fputs(
        "usage: sds-bench -socket PATH -pid PID [-streams N] [-at-once N] [-seconds S] [-every "
        "S]\n",
        stderr);
    return 2;
  }
  OpenAsManyFilesAsAllowed();
  return Proxies(std::move(options)).Run();
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) { return assay::bench::Main(argc, argv); }
