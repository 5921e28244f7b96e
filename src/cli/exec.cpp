// headrace exec: any program that uses llama.cpp's shared libraries.
#include <cstdlib>
#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/say.h"
#include "cli/exit_status.h"
#include "cli/file_arguments.h"
#include "cli/load_mode.h"
#include "cli/model_setup.h"
#include "cli/options.h"
#include "cli/session.h"

namespace headrace::cli {
namespace {

constexpr const char* kExamples = R"(
Examples:
  headrace exec --ram 8G -- llama-server -m model.gguf --port 8080
  headrace exec --ram 8G -- llama-perplexity -m model.gguf -f text.txt
  headrace exec --ram 2G --stats -- python3 my_program.py
  headrace exec --ram 2G -- node server.js

A name without a slash is looked for in the engine's folder first, then in PATH. The library is loaded
(LD_PRELOAD) into that program and its children only; programs that use no llama.cpp are not touched.
)";

struct ExecOptions {
  bool stats = false;
  std::string engine;
  FlashOptions flash;
};

// The file after -m or --model; of a program that may mean something else by that only one that exists.
std::string ModelArgument(const std::vector<std::string>& arguments, bool surely) {
  std::error_code error;
  const std::string path = OptionValue(arguments, {"-m", "--model"}).value_or("");
  return surely || std::filesystem::is_regular_file(path, error) ? path : "";
}

// Programs whose context is what -c says, or the model's own.
bool IsGenerator(const std::string& program) {
  const std::string name = std::filesystem::path(program).filename().string();
  return name == "llama-server" || name == "llama-cli" || name == "llama-completion" || name == "llama-mtmd-cli";
}

// llama-server keeps up to 8 GiB of prompts' states: a process that has too little memory for its weights keeps none
// unless its user wants it.
void KeepPromptCacheSmall(LaunchSpec& launch) {
  constexpr const char* kVariable = "LLAMA_ARG_CACHE_RAM";
  if (!launch.program.ends_with("llama-server") || std::getenv(kVariable) != nullptr ||
      OptionValue(launch.arguments, {"-cram", "--cache-ram"})) {
    return;
  }
  launch.environment.emplace_back(kVariable, "0");
  Say("the server's prompt cache is off, its memory goes to weights; --cache-ram MIB gives it some");
}

// Another way of loading than a mapping is taken out where weights stream.
void MapModel(bool streams, LaunchSpec& launch) {
  const std::string unmapped_by = UnmappedBy(launch.arguments, [](const char* name) { return std::getenv(name); });
  if (!streams || unmapped_by.empty()) return;
  launch.arguments = Mapped(std::move(launch.arguments));
  launch.environment.emplace_back(kLoadModeVariable, kMappedMode);
  Say(MappedLine(unmapped_by));
}

// Of a program whose memory is not foretold: whether the weights alone are more than it may have.
bool ExceedsMemory(const std::string& model_path, const FlashOptions& options) {
  auto model = PrepareModel(model_path, options);
  return model.ok() && (!SettleMemory(nullptr, {}, *model).ok() || model->streams());
}

int Exec(const ExecOptions& options, const std::vector<std::string>& words) {
  if (words.empty()) {
    return Fail("exec needs a program; write headrace exec [options] -- PROGRAM ARGS, for instance headrace exec --ram 8G -- "
                "llama-server -m model.gguf", kExitUsage);
  }
  if (words.front().starts_with('-')) {
    return Fail(fmt::format("exec has no option {}; see headrace exec --help", words.front()), kExitUsage);
  }
  auto resolved = ResolveConfig(options.flash, [](const char* name) { return std::getenv(name); },
                                FindAvailableMemory(ReadTextFile, ReadAddressLimits()));
  if (!resolved.ok()) return Fail(resolved.status());
  Config& config = resolved->config;

  const SearchPaths paths = SystemSearchPaths(options.engine);
  const auto engine = LocateEngine(paths);
  if (!engine.ok() && !options.engine.empty()) return Fail(engine.status().message(), kExitNotFound);
  auto program = LocateProgram(words.front(), engine.ok() ? &*engine : nullptr, paths);
  if (!program.ok()) return Fail(program.status().message(), kExitNotFound);

  Session session;
  if (config.wants_library()) {
    auto library = LocateLibrary(paths);
    if (!library.ok()) return Fail(library.status().message(), kExitNotFound);
    session.library = std::move(*library);
  }
  session.launch.program = *program;
  session.launch.arguments.assign(words.begin() + 1, words.end());
  const std::string model_path = ModelArgument(session.launch.arguments, IsGenerator(*program));
  bool streams = config.flash_mode == FlashMode::kOn;
  if (config.wants_library() && engine.ok() && !model_path.empty() && IsGenerator(*program)) {
    auto model = PrepareModel(model_path, options.flash);
    if (!model.ok()) return Fail(model.status());
    if (const Status files = CheckFileArguments(session.launch.arguments); !files.ok()) return Fail(files);
    if (const Status settled = SettleMemory(&*engine, session.launch.arguments, *model); !settled.ok()) return Fail(settled);
    SayDecision(*model);
    config = model->LibraryConfig();
    streams = model->streams();
    if (streams) {
      AddDiskSpeed(model_path, *engine, config);
      KeepPromptCacheSmall(session.launch);
    }
  } else if (config.flash_mode == FlashMode::kAuto && !model_path.empty()) {
    streams = ExceedsMemory(model_path, options.flash);
  }
  MapModel(streams, session.launch);
  if (config.debug) {
    Say(fmt::format("{} {}", *program, fmt::join(session.launch.arguments, " ")));
    for (const auto& [name, value] : config.ToEnvironment()) Say(fmt::format("{}={}", name, value));
  }
  session.config = config;
  const auto result = RunSession(std::move(session));
  if (!result.ok()) {
    return Fail(result.status().message(), result.status().code() == Code::kNotFound ? kExitNotFound : kExitNotExecutable);
  }
  if (options.stats || config.debug) PrintSummary(*result);
  return ReportEnd(*result, config, std::filesystem::path(*program).filename().string());
}

}  // namespace

void AddExecCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("exec", "Run any program that uses llama.cpp's shared libraries: "
                                                     "exec [OPTIONS] -- PROGRAM ARGS...");
  command->footer(kExamples);
  command->prefix_command();
  const auto options = std::make_shared<ExecOptions>();
  command->add_flag("--stats", options->stats, "Say at the end what was resident and streamed, and how fast");
  AddFlashOptions(*command, options->flash);
  AddEngineOption(*command, options->engine);
  command->callback([options, command, &line] {
    std::vector<std::string> words = command->remaining();
    words.insert(words.end(), line.rest.begin(), line.rest.end());
    line.action = [options, words] { return Exec(*options, words); };
  });
}

}  // namespace headrace::cli
