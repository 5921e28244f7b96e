#include "top/top_command.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "report/exit_status.h"
#include "report/finite_number.h"
#include "report/output.h"
#include "top/screen.h"
#include "top/view.h"

namespace headrace::top {
namespace {

constexpr const char* kExamples = R"(
Examples:
  headrace top                          all processes that stream weights, live; q quits
  headrace top --once                   the same as text, after one second
  headrace top --json                   one JSON object
  headrace top --json --interval 5      one JSON object on a line every 5 seconds, until Ctrl-C
  headrace top --json | jq '.processes[].tokens_per_s'

DISK is the speed of reading now and, if it was measured, the speed that the disk can reach. WAIT, KERN and OWN are shares
of the time in passes: waiting for the disk, in kernels on weights, in headrace itself. The engine uses the rest. MEMORY is
what the process holds, without what it maps from files, and its limit. LIMITED BY says what limits the speed: disk-bound,
compute-bound (processor), memory-bound (bandwidth of memory), or idle if the process waits for work.

headrace top finds processes by their statistics in /dev/shm, $TMPDIR or /tmp. If HEADRACE_SNAPSHOT puts a file elsewhere,
name the file.
)";

struct TopOptions {
  bool json = false;
  bool once = false;
  double interval_s = 1;
  std::vector<std::string> files;
};

bool Print(const TopOptions& options, const Picture& picture) {
  return cli::WriteOutput(options.json ? RenderJson(picture, std::time(nullptr)) : RenderText(picture));
}

int Top(const TopOptions& options, bool interval_given) {
  Watch watch(options.files);
  const bool stream = options.json && interval_given && !options.once;
  if (!options.json && !options.once && isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1) {
    const Status shown = ShowScreen(watch, options.interval_s);
    return shown.ok() ? cli::kExitOk : cli::Fail(shown);
  }
  Picture picture = watch.Look();
  do {
    // Speeds need two readings.
    if (stream || !picture.rows.empty()) {
      std::this_thread::sleep_for(std::chrono::duration<double>(options.interval_s));
      picture = watch.Look();
    }
  } while (Print(options, picture) && stream);
  return cli::kExitOk;
}

}  // namespace

void AddTopCommand(CLI::App& app, cli::CommandLine& line) {
  CLI::App* command =
      app.add_subcommand("top", "Show every process that streams weights, live: speed, disk, memory, what limits it");
  command->footer(kExamples);
  const auto options = std::make_shared<TopOptions>();
  command->add_flag("--json", options->json, "JSON instead of a screen or text");
  command->add_flag("--once", options->once, "Print once and end, also on a terminal");
  const CLI::Option* interval =
      command
          ->add_option("--interval", options->interval_s,
                       "Seconds between two updates (default 1); with --json, continue until Ctrl-C")
          ->type_name("SECONDS")
          ->check(cli::FiniteNumber(0.1, 3600));
  command->add_option("files", options->files, "Statistics files elsewhere (HEADRACE_SNAPSHOT)")->type_name("FILE");
  command->callback([options, interval, &line] {
    line.action = [options, interval] { return Top(*options, interval->count() > 0); };
  });
}

}  // namespace headrace::top
