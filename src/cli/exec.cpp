// headrace exec: any program that uses llama.cpp's shared libraries.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/say.h"
#include "cli/engine_probe.h"
#include "cli/engine_variables.h"
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

// Another way of loading than a mapping is taken out where weights stream.
void MapModel(bool streams, LaunchSpec& launch) {
  const auto variable = [&](const char* name) -> const char* {
    const auto found = std::find_if(launch.environment.begin(), launch.environment.end(), [&](const auto& entry) { return entry.first == name; });
    return found == launch.environment.end() ? nullptr : found->second.c_str();
  };
  const std::string unmapped_by = UnmappedBy(launch.arguments, variable);
  if (!streams || unmapped_by.empty()) return;
  launch.arguments = Mapped(std::move(launch.arguments));
  std::erase_if(launch.environment, [](const auto& entry) { return entry.first == kLoadModeVariable; });
  launch.environment.emplace_back(kLoadModeVariable, kMappedMode);
  Say(MappedLine(unmapped_by));
}

// Of a program whose memory is not foretold: whether the weights alone are more than it may have.
bool ExceedsMemory(const std::string& model_path, const FlashOptions& options) {
  auto model = PrepareModel(model_path, options);
  return model.ok() && (!SettleMemory(nullptr, {}, *model).ok() || model->streams());
}

// The options that a program will find in its environment; none when it does not list its own.
std::vector<std::string> OptionsFromVariables(const std::string& program, const Environment& variables) {
  const auto known = QueryOptions(program);
  return known.ok() ? VariablesAsOptions(variables, *known) : std::vector<std::string>();
}

// llama-server keeps up to 8 GiB of prompts' states, and 32 checkpoints of each slot's, unless its user says otherwise. It gets as many
// as the memory allows beside all else, and none where that is too little for the weights already. `arguments` are all that count.
Status SettleServer(const Engine& engine, const std::vector<std::string>& arguments, ModelSetup& model, LaunchSpec& launch) {
  std::vector<std::string> all = ServerMemoryArguments(arguments);
  const bool own_checkpoints = OptionValue(arguments, kCheckpointOptions).has_value(), own_cache = OptionValue(arguments, kPromptCacheOptions).has_value();
  if (!own_checkpoints) all.insert(all.end(), {"--ctx-checkpoints", "0"});
  if (!own_cache) all.insert(all.end(), {"--cache-ram", "0"});
  std::optional<Result<EngineSimulation>> simulation;
  HEADRACE_RETURN_IF_ERROR(SettleMemory(&engine, all, model, simulation));
  const uint64_t limit = model.limits.process_bytes;
  const auto left = [&]() -> uint64_t {
    if (model.streams() || !model.memory.engine) return 0;
    return limit == 0 ? UINT64_MAX : limit - std::min(limit, model.memory.everything_bytes);
  };
  const auto set = [&](const char* variable, const char* option, uint64_t value, uint64_t usual) {
    launch.environment.emplace_back(variable, std::to_string(value));
    if (value < usual) {
      Say(fmt::format("{} {} instead of the server's own {}: weights and the rest need the memory; give the option to have more", option, value, usual));
    }
    all.insert(all.end(), {option, std::to_string(value)});
    return SettleMemory(&engine, all, model, simulation);
  };
  if (!own_checkpoints && simulation->ok()) {
    const auto state = (*simulation)->StateBytes();
    const uint64_t each = state.ok() ? (*simulation)->slots() * *state : 0;
    const uint64_t checkpoints = each == 0 ? kServerCheckpoints : std::min(kServerCheckpoints, left() / each);
    HEADRACE_RETURN_IF_ERROR(set("LLAMA_ARG_CTX_CHECKPOINTS", "--ctx-checkpoints", checkpoints, kServerCheckpoints));
  }
  if (own_cache) return {};
  const uint64_t one_state = model.memory.engine ? model.memory.engine->context_bytes : 0;
  return set("LLAMA_ARG_CACHE_RAM", "--cache-ram", std::min(kServerPromptCache, (left() - std::min(left(), one_state)) / kMiB), kServerPromptCache);
}

int Exec(const ExecOptions& options, const std::vector<std::string>& words, const Environment& variables) {
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
  session.launch.environment = variables;
  const bool generates = config.wants_library() && engine.ok() && IsGenerator(*program);
  // What the program reads in its environment counts as if its arguments said it.
  std::vector<std::string> arguments = generates && !variables.empty() ? OptionsFromVariables(*program, variables) : std::vector<std::string>();
  arguments.insert(arguments.end(), session.launch.arguments.begin(), session.launch.arguments.end());
  const std::string model_path = ModelArgument(arguments, IsGenerator(*program));
  bool streams = config.flash_mode == FlashMode::kOn;
  if (generates && !model_path.empty()) {
    auto model = PrepareModel(model_path, options.flash);
    if (!model.ok()) return Fail(model.status());
    if (const Status files = CheckFileArguments(arguments); !files.ok()) return Fail(files);
    const Status settled = program->ends_with("llama-server") ? SettleServer(*engine, arguments, *model, session.launch) : SettleMemory(&*engine, arguments, *model);
    if (!settled.ok()) return Fail(settled);
    SayDecision(*model);
    config = model->LibraryConfig();
    streams = model->streams();
    if (streams) AddDiskSpeed(model_path, *engine, config);
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
    line.action = [options, words, &line] { return Exec(*options, words, line.variables); };
  });
}

}  // namespace headrace::cli
