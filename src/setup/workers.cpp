#include "setup/workers.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "base/descriptor.h"
#include "base/say.h"
#include "base/size.h"
#include "engine/devices.h"
#include "engine/engine_probe.h"
#include "engine/worker_address.h"
#include "learned/machine_profile.h"
#include "report/progress_line.h"

namespace headrace::cli {
namespace {

using WorkerClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kReachTime{2000};
// A worker that has died can seem to listen for a moment, until the last of its processes has gone.
constexpr int kLooksForLost = 6;
constexpr std::chrono::milliseconds kBetweenLooks{200};

struct Dial {
  const WorkerAddress* worker = nullptr;
  Descriptor socket;
  std::string error;  // "": it is connected, or it is still being tried
  double seconds = 0;
};

// Begins to connect. Names are looked up, by IPv4 alone, as the engine does.
Dial Begin(const WorkerAddress& worker) {
  Dial dial;
  dial.worker = &worker;
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  if (const int error = getaddrinfo(worker.host.c_str(), std::to_string(worker.port).c_str(), &hints, &found)) {
    dial.error = gai_strerror(error);
    return dial;
  }
  dial.socket = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!dial.socket.valid() ||
      (connect(dial.socket.get(), found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS))
    dial.error = std::strerror(errno);
  freeaddrinfo(found);
  return dial;
}

// As the kernel saw it when the connection was made, however busy this machine is.
double RoundTripSeconds(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  return getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_rtt * 1e-6 : 0;
}

// Connects to all at the same time, and closes the connections.
std::vector<Dial> DialAll(const std::vector<WorkerAddress>& workers) {
  const auto start = WorkerClock::now();
  std::vector<Dial> dials;
  for (const WorkerAddress& worker : workers) dials.push_back(Begin(worker));
  for (size_t waiting = 1; waiting > 0;) {
    waiting = 0;
    std::vector<pollfd> sockets;
    for (const Dial& dial : dials) {
      const bool waits = dial.error.empty() && dial.socket.valid();
      sockets.push_back({waits ? dial.socket.get() : -1, POLLOUT, 0});
    }
    const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(WorkerClock::now() - start);
    const auto left = kReachTime - std::min(kReachTime, passed);
    poll(sockets.data(), sockets.size(), static_cast<int>(left.count()));
    for (size_t i = 0; i < dials.size(); ++i) {
      if (sockets[i].fd < 0) continue;
      if (sockets[i].revents == 0) {
        if (left.count() > 0) {
          ++waiting;
        } else {
          dials[i].error = fmt::format("no answer within {} s", kReachTime.count() / 1000);
        }
        continue;
      }
      int error = 0;
      socklen_t size = sizeof error;
      getsockopt(dials[i].socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) dials[i].error = std::strerror(error);
      dials[i].seconds = RoundTripSeconds(dials[i].socket.get());
      dials[i].socket = Descriptor();
    }
  }
  return dials;
}

}  // namespace

void AddWorkersOption(CLI::App& command, std::string& workers) {
  command
      .add_option("--workers", workers,
                  "Machines that run `headrace worker`: what does not fit into memory here goes to theirs (also "
                  "HEADRACE_WORKERS)")
      ->type_name("HOST[:PORT],...")
      ->envname("HEADRACE_WORKERS");
}

double NetworkSeconds(const WorkerLink& link) {
  constexpr double kPromptTokens = 512, kAnswerTokens = 64, kActivationBytes = 8192 * sizeof(float);
  const double waits = 2 * (1 + kAnswerTokens) * link.round_trip_s;
  return link.bytes_per_s > 0 ? waits + 2 * kActivationBytes * (kPromptTokens + kAnswerTokens) / link.bytes_per_s
                              : waits;
}

double DiskSeconds(uint64_t worker_bytes, double disk_bytes_per_s) {
  constexpr double kPasses = 65, kFastDisk = 3.5e9;
  return kPasses * static_cast<double>(worker_bytes) / (disk_bytes_per_s > 0 ? disk_bytes_per_s : kFastDisk);
}

namespace {

struct MeasuredWorker {
  uint64_t free_bytes = 0;
  WorkerLink link;
};

// The devices of the engine with these workers. Those that are `known` need not be measured.
MeasuredDevices AskEngine(const Engine& engine, const std::vector<std::string>& names,
                          const std::map<std::string, WorkerLink>& known) {
  const EngineArguments arguments = {"--rpc", fmt::format("{}", fmt::join(names, ","))};
  const bool measured =
      std::all_of(names.begin(), names.end(), [&](const std::string& name) { return known.contains(name); });
  const auto library = LocateLibrary(SystemSearchPaths(""));
  MeasuredDevices found;
  if (!measured && library.ok()) found = MeasureDevices(engine, *library, arguments);
  if (found.devices.empty()) found.devices = QueryDevices(engine, arguments);
  return found;
}

bool IsOf(const Device& device, const std::string& worker) { return device.remote && device.description == worker; }

// Of what the engine found. `alone`: it was asked about no other worker, and need not say whose device it is.
MeasuredWorker WorkerOf(const std::string& name, const MeasuredDevices& found, bool alone, const WorkerLink* known) {
  MeasuredWorker worker;
  if (known != nullptr) worker.link.bytes_per_s = known->bytes_per_s;
  for (const Device& device : found.devices) {
    if (!IsOf(device, name) && !(alone && device.remote)) continue;
    worker.free_bytes += device.free_bytes;
    for (const CopySpeed& copy : found.copies) {
      if (copy.device == device.name && known == nullptr) worker.link.bytes_per_s = copy.upload_bytes_per_s();
    }
  }
  return worker;
}

// "10.0.0.2:50052: 1.90 GiB free, 0.3 ms away, 118 MB/s".
std::string WorkerText(const std::string& name, const MeasuredWorker& worker) {
  constexpr double kLong = 60;
  std::string text = fmt::format("worker {}: {} free, {:.1f} ms away", name, FormatSize(worker.free_bytes),
                                 worker.link.round_trip_s * 1e3);
  if (!(worker.link.bytes_per_s > 0)) return text;
  text += worker.link.bytes_per_s < 1e9 ? fmt::format(", {:.3g} MB/s", worker.link.bytes_per_s / 1e6)
                                        : fmt::format(", {:.1f} GB/s", worker.link.bytes_per_s / 1e9);
  const double seconds = static_cast<double>(worker.free_bytes) / worker.link.bytes_per_s;
  if (seconds > kLong) text += fmt::format("; to send weights takes up to {:.0f} min", std::ceil(seconds / 60));
  return text;
}

}  // namespace

Status CheckWorkers(const std::string& workers, const Engine& engine) {
  if (workers.empty()) return {};
  if (const auto addresses = ParseWorkers(workers); !addresses.ok()) return addresses.status();
  if (HasRpcBackend(engine)) return {};
  return Status(Code::kNotFound,
                fmt::format("--workers: the llama.cpp in {} has no RPC backend; `headrace engine install --force` "
                            "installs one that has it, and a system's own needs the package libggml0-backend-rpc",
                            engine.bin_dir));
}

Result<ReachedWorkers> ReachWorkers(const std::string& workers, const Engine& engine, double disk_bytes_per_s,
                                    const std::map<std::string, WorkerLink>& known) {
  ReachedWorkers reached;
  HEADRACE_RETURN_IF_ERROR(CheckWorkers(workers, engine));
  if (workers.empty()) return reached;
  const auto addresses = ParseWorkers(workers);
  if (!addresses.ok()) return addresses.status();
  std::vector<std::string> answering, there;
  const std::vector<Dial> dials = DialAll(*addresses);
  for (const Dial& dial : dials) {
    if (dial.error.empty()) answering.push_back(dial.worker->text());
  }
  // One that is no worker ends the program: then each is asked by itself.
  MeasuredDevices all;
  if (!answering.empty()) all = AskEngine(engine, answering, known);
  const bool together = std::all_of(answering.begin(), answering.end(), [&](const std::string& name) {
    return std::any_of(all.devices.begin(), all.devices.end(),
                       [&](const Device& device) { return IsOf(device, name); });
  });
  for (const Dial& dial : dials) {
    const std::string name = dial.worker->text();
    if (!dial.error.empty()) {
      reached.missing[name] = fmt::format("worker {} cannot be reached ({}): it goes on without it", name, dial.error);
      continue;
    }
    const auto before = known.find(name);
    const MeasuredDevices found = together || answering.size() == 1 ? all : AskEngine(engine, {name}, known);
    MeasuredWorker worker = WorkerOf(name, found, !together, before == known.end() ? nullptr : &before->second);
    worker.link.round_trip_s = dial.seconds;
    if (worker.free_bytes == 0) {
      reached.missing[name] = fmt::format(
          "worker {} has no memory to give, or is no worker of this llama.cpp's release: it goes on without it", name);
      continue;
    }
    if (worker.link.bytes_per_s > 0) reached.links[name] = worker.link;
    const double network = NetworkSeconds(worker.link), disk = DiskSeconds(worker.free_bytes, disk_bytes_per_s);
    if (network > disk) {
      reached.missing[name] = fmt::format(
          "{}: an answer would wait {:.3g} s for the network, and {:.3g} s for the disk that it replaces; it "
          "goes on without it",
          WorkerText(name, worker), network, disk);
      continue;
    }
    reached.lines.push_back(WorkerText(name, worker));
    there.push_back(name);
  }
  if (!there.empty()) reached.arguments.Append(OptionId::kRemote, fmt::format("{}", fmt::join(there, ",")));
  if (together && !answering.empty()) reached.devices = DevicesWith(there, all.devices);
  return reached;
}

std::vector<Device> DevicesWith(const std::vector<std::string>& used, const std::vector<Device>& asked) {
  std::vector<Device> devices;
  size_t remote = 0;
  for (const Device& device : asked) {
    if (device.remote && std::find(used.begin(), used.end(), device.description) == used.end()) continue;
    devices.push_back(device);
    if (device.remote) devices.back().name = fmt::format("RPC{}", remote++);
  }
  return devices;
}

Status PutWorkersBefore(const std::string& workers, const Engine& engine, const std::string& model_path,
                        EngineArguments& rest, std::optional<std::vector<Device>>* devices) {
  if (workers.empty()) return {};
  if (rest.Has(OptionId::kRemote))
    return Status(Code::kInvalidArgument, "--workers and -- --rpc both name workers; leave one out");
  ProgressLine progress;
  progress.Show("asking the workers");
  const auto profile = MachineProfileFor(model_path, QueryVersion(engine));
  const auto reached = ReachWorkers(workers, engine, profile.ok() ? profile->disk_bytes_per_s : 0);
  progress.Show("");
  if (!reached.ok()) return reached.status();
  for (const std::string& line : reached->lines) Say(line);
  for (const auto& [name, line] : reached->missing) SayError(line);
  rest = Joined(reached->arguments, rest);
  if (devices != nullptr) *devices = reached->devices;
  return {};
}

std::string LostWorkers(const EngineArguments& arguments) {
  const auto list = arguments.Value(OptionId::kRemote);
  const auto workers = list ? ParseWorkers(*list) : Result<std::vector<WorkerAddress>>(std::vector<WorkerAddress>());
  if (!workers.ok() || workers->empty()) return "";
  std::string text;
  for (int look = 1; text.empty() && look <= kLooksForLost; ++look) {
    if (look > 1) std::this_thread::sleep_for(kBetweenLooks);
    for (const Dial& dial : DialAll(*workers)) {
      if (dial.error.empty()) continue;
      text += fmt::format("{}worker {} does not answer any more ({})", text.empty() ? "" : "; ", dial.worker->text(),
                          dial.error);
    }
  }
  return text;
}

}  // namespace headrace::cli
