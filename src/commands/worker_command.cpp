// headrace worker: lends this machine's memory and processor to a headrace on another one.
#include <sched.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/cache_directory.h"
#include "base/config.h"
#include "base/say.h"
#include "base/size.h"
#include "base/worker_settings.h"
#include "commands/commands.h"
#include "engine/engine_locator.h"
#include "engine/worker_address.h"
#include "memory/available.h"
#include "process/launcher.h"
#include "report/exit_status.h"
#include "report/output.h"
#include "setup/options.h"

namespace headrace::cli {
namespace {

constexpr const char* kWorkerExamples = R"(
Examples:
  headrace worker                                  for programs on this machine, with nine tenths of the available memory
  headrace worker --listen 192.168.1.5 --ram 16G   for machines of a private network, within 16 GiB
  headrace worker --cache 20G                      keeps up to 20 GiB of weights on disk for the next load
  headrace run model.gguf --workers 192.168.1.5    on another machine: layers go to the worker

A worker is llama.cpp's own RPC server. It has NO authentication and NO encryption: whoever reaches it can use this
machine's memory and processor, and may harm it. So it listens on this machine and in private networks only. It computes
on the processor, and refuses clients what is beyond --ram. Its address goes to standard output. Ctrl-C ends it.
docs/workers.md says more.
)";

struct WorkerOptions {
  std::string ram;
  std::string listen = "127.0.0.1";
  unsigned threads = 0;
  std::string cache;
  bool no_cache = false;
  bool debug = false;
  std::string engine;
};

// Processors that this process may use.
unsigned Processors() {
  cpu_set_t set;
  const int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return static_cast<unsigned>(std::max(count, 1));
}

// Bytes for the whole process.
Result<uint64_t> RamOf(const WorkerOptions& options) {
  const auto available = FindAvailableMemory(ReadTextFile, ReadAddressLimits());
  const uint64_t automatic = AutomaticLimit(available, std::nullopt);
  if (options.ram.empty()) return automatic;
  const auto ram = ParseRam("--ram", options.ram, true);
  if (!ram.ok()) return ram.status();
  if (*ram == Config::kAutomatic) return automatic;
  if (!available.unknown() && *ram > available.bytes) {
    return Status(Code::kInvalidArgument,
                  fmt::format("--ram {} is more than there is: {} of {}; give less, or leave --ram out",
                              FormatSize(*ram), FormatSize(available.bytes), available.limited_by));
  }
  return *ram;
}

// Where the engine's server keeps what was sent to it, so that it need not be sent again; "" where none can be made.
std::string CacheFolder() {
  const std::string caches = CacheDirectory();
  if (caches.empty()) return "";
  const auto folder = std::filesystem::path(caches) / "worker";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  // Weights of models need not be anybody else's business.
  if (!error) std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  return error ? "" : folder.string() + "/";
}

// The option --cache; nullopt: it is not given.
Result<std::optional<uint64_t>> ParseCache(const std::string& text) {
  if (text.empty()) return std::optional<uint64_t>();
  const auto bytes = ParseSize(text);
  if (!bytes.ok()) return Status(bytes.status().code(), "--cache: " + bytes.status().message());
  if (*bytes == 0) return Status(Code::kInvalidArgument, "--cache 0 would keep nothing: say --no-cache");
  return std::optional<uint64_t>(*bytes);
}

// Without --cache as much as clients can hold, but no more than half of what is free.
uint64_t DefaultCacheBytes(const std::string& folder, uint64_t ram) {
  std::error_code error;
  uint64_t held = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    std::error_code no_file;
    const uint64_t bytes = entry.is_regular_file(no_file) ? entry.file_size(no_file) : 0;
    held += no_file ? 0 : bytes;
  }
  const auto space = std::filesystem::space(folder, error);
  return error ? ram : std::min(ram, (space.available + held) / 2);
}

int ExitStatusOf(const LaunchOutcome& outcome) {
  if (outcome.signal == SIGINT || outcome.signal == SIGTERM || outcome.signal == SIGHUP) {
    Say("worker: ended");
    return kExitOk;
  }
  if (outcome.signal != 0)
    return Fail(fmt::format("the worker {}", DescribeSignal(outcome.signal, false)), outcome.exit_status);
  // What it was has been said.
  if (outcome.exit_status == kWorkerNoBackend) return kExitNotFound;
  if (outcome.exit_status == kWorkerNoMemory) return kExitUsage;
  if (outcome.exit_status == kWorkerNoAddress) return kExitFailure;
  return Fail("llama.cpp did not become a worker; see `headrace doctor`", kExitFailure);
}

int Work(const WorkerOptions& options) {
  const auto address = ParseListenAddress(options.listen);
  if (!address.ok()) return Fail(address.status().message(), kExitUsage);
  const auto cache_bytes = ParseCache(options.cache);
  if (!cache_bytes.ok()) return Fail(cache_bytes.status().message(), kExitUsage);
  const auto ram = RamOf(options);
  if (!ram.ok()) return Fail(ram.status().message(), kExitUsage);
  const SearchPaths paths = SystemSearchPaths(options.engine);
  const auto engine = LocateEngine(paths);
  if (!engine.ok()) return Fail(engine.status().message(), kExitNotFound);
  const auto library = LocateWorkerLibrary(paths);
  if (!library.ok()) return Fail(library.status().message(), kExitNotFound);
  Result<std::string> program = Status(Code::kNotFound, "");
  for (const char* name : {"llama-bench", "llama-completion", "llama-cli", "llama-server"}) {
    if (!program.ok()) program = LocateProgram(name, &*engine, SearchPaths());
  }
  if (!program.ok()) return Fail(program.status().message(), kExitNotFound);

  const unsigned threads = options.threads > 0 ? options.threads : Processors();
  LaunchSpec launch;
  launch.program = *program;
  launch.arguments = {"--list-devices"};
  launch.stdin_null = true;
  // The engine's server says other things, too.
  std::string said;
  launch.on_stdout = [&](std::string_view text) {
    said += text;
    for (size_t end = 0; (end = said.find('\n')) != std::string::npos; said.erase(0, end + 1)) {
      const std::string_view row = std::string_view(said).substr(0, end + 1);
      if (row.starts_with(kWorkerListensLine)) {
        WriteOutput(std::string(row.substr(std::strlen(kWorkerListensLine))));
      } else if (options.debug) {
        SayRaw(row);
      }
    }
    return true;
  };
  launch.death_signal = SIGKILL;
  launch.environment = {{"LD_PRELOAD", PreloadValue(std::getenv("LD_PRELOAD"), *library)},
                        {"GGML_NO_BACKTRACE", "1"},
                        {"OMP_STACKSIZE", "2M"},
                        // Messages come into fresh memory each: in large pages that is nearly as fast as in used one.
                        {"GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"},
                        {kWorkerListenVariable, address->text()},
                        {kWorkerRamVariable, std::to_string(*ram)},
                        {kWorkerThreadsVariable, std::to_string(threads)}};
  if (options.debug) launch.environment.emplace_back("HEADRACE_DEBUG", "1");
  if (const std::string cache = options.no_cache ? "" : CacheFolder(); !cache.empty()) {
    const uint64_t bytes = cache_bytes->value_or(DefaultCacheBytes(cache, *ram));
    launch.environment.emplace_back(kWorkerCacheVariable, cache);
    launch.environment.emplace_back(kWorkerCacheBytesVariable, std::to_string(bytes));
    Say(fmt::format("worker: keeps at most {} of weights in {}", FormatSize(bytes), cache));
  }
  Say(fmt::format("worker: {}, {} {}; without authentication and encryption: only for networks that you trust",
                  FormatSize(*ram), threads, threads == 1 ? "thread" : "threads"));
  const auto outcome = Launch(launch);
  if (!outcome.ok()) return Fail(outcome.status().message(), kExitNotExecutable);
  return ExitStatusOf(*outcome);
}

}  // namespace

void AddWorkerCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      app.add_subcommand("worker", "Lend this machine's memory and processor to headrace on other machines");
  command->footer(kWorkerExamples);
  const auto options = std::make_shared<WorkerOptions>();
  command
      ->add_option("--ram", options->ram,
                   "Limit of memory for the whole worker, for instance 8G (default: what is available, less a tenth)")
      ->type_name("SIZE");
  command
      ->add_option(
          "--listen", options->listen,
          "Address of this machine or of a private network, port 50052 if none is named, 0 for any that is free "
          "(default 127.0.0.1:50052)")
      ->type_name("ADDRESS[:PORT]");
  command->add_option("-t,--threads", options->threads, "Threads for each client (default: all processors)")
      ->type_name("N")
      ->check(CLI::Range(1u, 4096u));
  CLI::Option* cache =
      command
          ->add_option("--cache", options->cache,
                       "Keep at most this much of clients' weights in ~/.cache/headrace/worker, so that the next load "
                       "need not send them; what was used least recently goes (default: as much as --ram, at most half "
                       "of what is free on that disk)")
          ->type_name("SIZE");
  command->add_flag("--no-cache", options->no_cache, "Keep no weights on disk")->excludes(cache);
  command->add_flag("--debug", options->debug, "Print the log of llama.cpp");
  AddEngineOption(*command, options->engine);
  command->callback([options, &line] { line.action = [options] { return Work(*options); }; });
}

}  // namespace headrace::cli
