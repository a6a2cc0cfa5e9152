// SPDX-License-Identifier: GPL-3.0-or-later
// Load on a Workload API socket, any agent's, and what it costs that agent: CPU per operation and
// memory of the agent's process and its descendants, latency, rate. JSON on standard output.
//
//   assay-bench fetch   -socket S -pid P [-callers 8] [-seconds 10]   new connection each time;
//                       -calls N stops after N answers; the longest gap is that between answers;
//                       -rate N begins no more than N a second
//   assay-bench refetch -socket S -pid P [-callers 8] [-seconds 10]   one connection a caller
//   assay-bench jwt     -socket S -pid P [-callers 8] [-seconds 10]   the same JWT-SVID again and
//                       again, one connection a caller
//   assay-bench validate -socket S -pid P [-callers 8] [-seconds 10]  of a token seen before
//   assay-bench validate-fresh ...                                    of many tokens by turns, more
//                       than an agent remembers; they are fetched first
//   assay-bench hold    -socket S -pid P [-streams 1000] [-seconds 0] streams held open; with
//                       -seconds, waits that long for an update and times its way to all
//   assay-bench idle    -pid P [-seconds 10]                          memory and CPU at rest
#include <sys/epoll.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "agent/api_client.h"
#include "base/unique_fd.h"
#include "spiffe/workload.pb.h"
#include "tests/bench/load_client.h"
#include "tests/bench/process_usage.h"

namespace assay::bench {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr char kFetch[] = "/SpiffeWorkloadAPI/FetchX509SVID";
constexpr char kAudience[] = "bench";
constexpr size_t kFreshTokens = 1500;

// What is called, by turns with each of these requests. A stream counts as answered by its first
// message, any other call by its end.
struct Work {
  std::string method = kFetch;
  bool is_stream = true;
  std::vector<std::string> requests = {""};
};

struct Options {
  std::string mode, socket;
  Work work = {};
  pid_t pid = 0;
  int callers = 8, streams = 1000;
  size_t calls = SIZE_MAX;  // Stop after so many answers.
  double rate = 0;          // Calls a second; 0: as many as can be.
  double seconds = 0;
};

double SecondsSince(SteadyTime start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Runs clients of one epoll descriptor; a client's index is its event data.
class Load {
 public:
  explicit Load(Options options) : options_(std::move(options)), epoll_(epoll_create1(0)) {}

  // Calls on `callers` connections for `seconds`; reconnect: each call on a new one.
  nlohmann::json Calls(bool reconnect);
  nlohmann::json Hold();

 private:
  struct Caller {
    std::unique_ptr<LoadClient> client;
    SteadyTime started;
    bool finished = false;
  };

  bool Connect(size_t index);
  void Begin(size_t index);
  void Poll(int timeout_ms);
  nlohmann::json Summary(double seconds, const Usage& before, const Usage& after);
  bool OpenStreams(std::vector<int>& messages, size_t& answered);
  void NoteAnswer(Caller& caller);

  const Options options_;
  const UniqueFd epoll_;
  std::vector<Caller> callers_;
  void Count(int grpc_status);

  std::vector<double> latencies_ms_;
  size_t errors_ = 0;
  size_t next_request_ = 0;
  std::map<std::string, size_t> errors_by_status_;
  SteadyTime last_answer_;
  double longest_gap_ms_ = 0;
};

// An error: the gRPC status that the agent sent, or a connection that could not be had or broke.
void Load::Count(int grpc_status) {
  ++errors_;
  ++errors_by_status_[grpc_status < 0 ? "connection" : std::to_string(grpc_status)];
}

bool Load::Connect(size_t index) {
  auto client = LoadClient::Connect(options_.socket);
  if (!client.ok()) {
    Count(-1);
    return false;
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = index;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, (*client)->fd(), &event);
  callers_[index].client = std::move(*client);
  return true;
}

void Load::NoteAnswer(Caller& caller) {
  latencies_ms_.push_back(SecondsSince(caller.started) * 1000);
  longest_gap_ms_ = std::max(longest_gap_ms_, SecondsSince(last_answer_) * 1000);
  last_answer_ = std::chrono::steady_clock::now();
  caller.finished = true;
}

void Load::Begin(size_t index) {
  Caller& caller = callers_[index];
  const Work& work = options_.work;
  caller.finished = false;
  const absl::Status opened = caller.client->Call(
      work.method, work.requests[next_request_++ % work.requests.size()],
      [this, &caller](size_t) {
        if (options_.work.is_stream) {
          NoteAnswer(caller);
        }
      },
      [this, &caller](int grpc_status) {
        if (!options_.work.is_stream && grpc_status == 0) {
          NoteAnswer(caller);
          return;
        }
        Count(grpc_status);
        caller.finished = true;
      });
  if (!opened.ok()) {
    Count(-1);
    caller.finished = true;
  }
}

void Load::Poll(int timeout_ms) {
  epoll_event events[256];
  const int ready = epoll_wait(epoll_.get(), events, 256, timeout_ms);
  for (int i = 0; i < ready; ++i) {
    Caller& caller = callers_[events[i].data.u64];
    if (caller.client && !caller.client->OnReady()) {
      caller.client.reset();
      caller.finished = true;
    }
  }
}

nlohmann::json Load::Summary(double seconds, const Usage& before, const Usage& after) {
  std::sort(latencies_ms_.begin(), latencies_ms_.end());
  const auto percentile = [this](double p) {
    return latencies_ms_.empty() ? 0
                                 : latencies_ms_[static_cast<size_t>(
                                       p * static_cast<double>(latencies_ms_.size() - 1))];
  };
  const double count = static_cast<double>(latencies_ms_.size());
  return {{"mode", options_.mode},
          {"callers", options_.callers},
          {"calls", latencies_ms_.size()},
          {"errors", errors_},
          {"errors_by_status", errors_by_status_},
          {"longest_gap_ms", longest_gap_ms_},
          {"per_second", count / seconds},
          {"agent_cpu_us_per_call",
           count > 0 ? (after.cpu_microseconds - before.cpu_microseconds) / count : 0},
          {"agent_processes", after.processes},
          {"p50_ms", percentile(0.5)},
          {"p99_ms", percentile(0.99)}};
}

nlohmann::json Load::Calls(bool reconnect) {
  callers_.resize(static_cast<size_t>(options_.callers));
  for (size_t i = 0; i < callers_.size(); ++i) {
    callers_[i].finished = true;
    if (!reconnect && !Connect(i)) {
      return {{"error", "cannot connect to " + options_.socket}};
    }
  }
  const Usage before = CpuOf(options_.pid);
  const SteadyTime start = std::chrono::steady_clock::now();
  last_answer_ = start;
  double begun = 0;
  const auto is_due = [&] {
    return options_.rate <= 0 || begun < SecondsSince(start) * options_.rate;
  };
  while (SecondsSince(start) < options_.seconds && errors_ < 1000 &&
         latencies_ms_.size() < options_.calls) {
    for (size_t i = 0; i < callers_.size(); ++i) {
      Caller& caller = callers_[i];
      if (!caller.finished || !is_due()) {
        continue;
      }
      ++begun;
      caller.started = std::chrono::steady_clock::now();
      if (reconnect || !caller.client) {
        caller.client.reset();
        if (!Connect(i)) {
          continue;
        }
      } else {
        caller.client->Cancel();
      }
      Begin(i);
    }
    Poll(options_.rate > 0 ? 1 : 100);
  }
  const double seconds = SecondsSince(start);
  return Summary(seconds, before, CpuOf(options_.pid));
}

bool Load::OpenStreams(std::vector<int>& messages, size_t& answered) {
  constexpr size_t kInFlight = 64;
  size_t opened = 0;
  const SteadyTime start = std::chrono::steady_clock::now();
  while (answered < callers_.size() && SecondsSince(start) < 120) {
    while (opened < callers_.size() && opened - answered < kInFlight) {
      const size_t index = opened++;
      if (!Connect(index)) {
        return false;
      }
      const absl::Status called = callers_[index].client->Call(
          kFetch, "", [&, index](size_t) { answered += messages[index]++ == 0 ? 1 : 0; },
          [this](int grpc_status) { Count(grpc_status); });
      if (!called.ok()) {
        return false;
      }
    }
    Poll(100);
  }
  return answered == callers_.size();
}

nlohmann::json Load::Hold() {
  const size_t streams = static_cast<size_t>(options_.streams);
  callers_.resize(streams);
  std::vector<int> messages(streams, 0);
  size_t answered = 0;
  const Usage before = UsageOf(options_.pid);
  if (!OpenStreams(messages, answered)) {
    return {{"error", fmt::format("{} of {} streams answered", answered, streams)}};
  }
  const Usage held = UsageOf(options_.pid);
  nlohmann::json result = {
      {"mode", "hold"},
      {"streams", streams},
      {"pss_mb_before", static_cast<double>(before.pss_bytes) / 1e6},
      {"pss_mb_held", static_cast<double>(held.pss_bytes) / 1e6},
      {"bytes_per_stream",
       (static_cast<double>(held.pss_bytes) - static_cast<double>(before.pss_bytes)) /
           static_cast<double>(streams)},
      {"open_cpu_us_per_stream",
       (held.cpu_microseconds - before.cpu_microseconds) / static_cast<double>(streams)},
      {"errors", errors_}};
  if (options_.seconds <= 0) {
    return result;
  }
  // Whoever runs this causes the update: a changed entry, a rotated authority, or a short TTL.
  const SteadyTime start = std::chrono::steady_clock::now();
  SteadyTime first{};
  size_t updated = 0;
  Usage at_first;
  while (updated < streams && SecondsSince(start) < options_.seconds) {
    const Usage now = updated == 0 ? CpuOf(options_.pid) : Usage{};
    Poll(100);
    updated = static_cast<size_t>(
        std::count_if(messages.begin(), messages.end(), [](int n) { return n >= 2; }));
    if (updated > 0 && first == SteadyTime{}) {
      first = std::chrono::steady_clock::now();
      at_first = now;
    }
  }
  result["updated"] = updated;
  if (updated > 0) {
    result["update_first_to_last_ms"] = SecondsSince(first) * 1000;
    result["update_cpu_us_per_stream"] =
        (CpuOf(options_.pid).cpu_microseconds - at_first.cpu_microseconds) /
        static_cast<double>(streams);
  }
  return result;
}

nlohmann::json Idle(const Options& options) {
  const Usage before = UsageOf(options.pid);
  std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds));
  const Usage after = UsageOf(options.pid);
  return {{"mode", "idle"},
          {"pss_mb", static_cast<double>(after.pss_bytes) / 1e6},
          {"private_mb", static_cast<double>(after.private_bytes) / 1e6},
          {"cpu_percent",
           (after.cpu_microseconds - before.cpu_microseconds) / (options.seconds * 1e6) * 100},
          {"processes", after.processes}};
}

absl::StatusOr<std::string> FetchToken(const std::string& socket, const std::string& audience) {
  ASSIGN_OR_RETURN(const FetchedJwt fetched,
                   FetchJwtSvids(socket, absl::Seconds(30), {audience}, ""));
  return std::string(fetched.svids.front().token.Reveal());
}

absl::StatusOr<Work> JwtWork(const Options& options) {
  if (options.mode == "jwt") {
    JWTSVIDRequest request;
    request.add_audience(kAudience);
    return Work{"/SpiffeWorkloadAPI/FetchJWTSVID", false, {request.SerializeAsString()}};
  }
  Work work{"/SpiffeWorkloadAPI/ValidateJWTSVID", false, {}};
  for (size_t i = 0; i < (options.mode == "validate-fresh" ? kFreshTokens : 1); ++i) {
    ValidateJWTSVIDRequest request;
    request.set_audience(fmt::format("{}-{}", kAudience, i));
    ASSIGN_OR_RETURN(*request.mutable_svid(), FetchToken(options.socket, request.audience()));
    work.requests.push_back(request.SerializeAsString());
  }
  return work;
}

bool Parse(int argc, char** argv, Options& options) {
  if (argc < 2) {
    return false;
  }
  options.mode = argv[1];
  options.seconds = options.mode == "hold" ? 0 : 10;
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const std::string value = argv[i + 1];
    if (name == "-socket") {
      options.socket = value;
    } else if (name == "-pid") {
      options.pid = std::atoi(value.c_str());
    } else if (name == "-callers") {
      options.callers = std::max(1, std::atoi(value.c_str()));
    } else if (name == "-streams") {
      options.streams = std::max(1, std::atoi(value.c_str()));
    } else if (name == "-calls") {
      options.calls = static_cast<size_t>(std::max(1, std::atoi(value.c_str())));
    } else if (name == "-rate") {
      options.rate = std::atof(value.c_str());
    } else if (name == "-seconds") {
      options.seconds = std::atof(value.c_str());
    } else {
      return false;
    }
  }
  return argc % 2 == 0 && options.pid > 0 && (options.mode == "idle" || !options.socket.empty());
}

int Main(int argc, char** argv) {
  Options options;
  if (!Parse(argc, argv, options)) {
    std::fputs(
        "usage: assay-bench fetch|refetch|jwt|validate|validate-fresh|hold|idle -pid PID\n"
        "                   [-socket PATH] [-callers N] [-calls N] [-rate N] [-streams N]\n"
        "                   [-seconds S]\n",
        stderr);
    return 2;
  }
  OpenAsManyFilesAsAllowed();
  nlohmann::json result;
  if (options.mode == "fetch" || options.mode == "refetch") {
    result = Load(options).Calls(options.mode == "fetch");
  } else if (options.mode == "jwt" || options.mode == "validate" ||
             options.mode == "validate-fresh") {
    absl::StatusOr<Work> work = JwtWork(options);
    if (work.ok()) {
      options.work = *std::move(work);
      result = Load(options).Calls(/*reconnect=*/false);
    } else {
      result = {{"error", std::string(Message(work.status()))}};
    }
  } else if (options.mode == "hold") {
    result = Load(options).Hold();
  } else if (options.mode == "idle") {
    result = Idle(options);
  } else {
    std::fprintf(stderr, "unknown mode %s\n", options.mode.c_str());
    return 2;
  }
  std::puts(result.dump(2).c_str());
  return result.contains("error") ? 1 : 0;
}

}  // namespace
}  // namespace assay::bench

int main(int argc, char** argv) { return assay::bench::Main(argc, argv); }
