// headrace exec: any program that uses llama.cpp's shared libraries.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "base/say.h"
#include "base/text_file.h"
#include "commands/commands.h"
#include "engine/arguments.h"
#include "engine/engine_probe.h"
#include "engine/engine_program.h"
#include "engine/engine_variables.h"
#include "engine/file_arguments.h"
#include "engine/load_mode.h"
#include "engine/session.h"
#include "learned/learned.h"
#include "learned/machine_profile.h"
#include "report/exit_status.h"
#include "report/help.h"
#include "setup/device_choice.h"
#include "setup/download_cache.h"
#include "setup/learned_place.h"
#include "setup/model_cost.h"
#include "setup/model_name.h"
#include "setup/model_setup.h"
#include "setup/model_source.h"
#include "setup/options.h"
#include "setup/server_memory.h"

namespace headrace::cli {
namespace {

constexpr const char* kExecExamples = R"(
Examples:
  headrace exec --ram 8G -- llama-server -m model.gguf --port 8080
  headrace exec --ram 8G -- llama serve -hf user/model-GGUF:Q4_K_M
  headrace exec --ram 8G -- llama-server --models-dir ~/models
  headrace exec --ram 8G --vram 8G -- llama-server -m model.gguf         graphics card, memory and disk together
  headrace exec --ram 8G -- llama-perplexity -m model.gguf -f text.txt
  headrace exec --ram 2G --stats -- python3 my_program.py
  headrace exec --ram 2G -- node server.js

headrace looks for a program without a slash in its name in the engine's folder first, then in PATH. It loads the library
(LD_PRELOAD) into that program and its children only. Programs that do not use llama.cpp stay as they are.
)";

struct ExecOptions {
  bool stats = false;
  std::string engine;
  FlashOptions flash;
};

// What decides how the program is started.
struct Launchee {
  EngineProgram program;
  std::vector<std::string> command;  // its first word, of llama.cpp's one program for all
  std::optional<OptionNames> known;  // of its --help, where it was asked
  EngineArguments arguments;         // all that count: the options that variables stand for, then its own
  ModelSource source;
  bool on_devices = false;  // foretold: no weight is left to the processor
};

// Names of models become paths. A program of llama.cpp is asked for its options where something depends on them.
Launchee Understand(LaunchSpec& launch) {
  Launchee launchee;
  launchee.program = RecognizeProgram(launch.program, launch.arguments);
  if (launchee.program.kind == ProgramKind::kOther) {
    launchee.arguments = launch.arguments;
    return launchee;
  }
  launch.arguments = WithModelPaths(std::move(launch.arguments)).words();
  const auto own = launch.arguments.begin() + static_cast<ptrdiff_t>(launchee.program.command_words);
  launchee.command.assign(launch.arguments.begin(), own);
  const auto ask = [&] {
    if (auto known = QueryOptions(launch.program, launchee.command); known.ok()) launchee.known = std::move(*known);
  };
  if (!launch.environment.empty()) ask();
  if (launchee.known) launchee.arguments = VariablesAsOptions(launch.environment, *launchee.known);
  launchee.arguments.Append(std::vector<std::string>(own, launch.arguments.end()));
  launchee.source = FindModelSource(launchee.program.kind, launchee.arguments,
                                    DownloadCache([](const char* name) { return std::getenv(name); }));
  launchee.arguments.Append(launchee.source.arguments);
  if (launchee.source.router && !launchee.known) ask();
  // An older server without a model ends by itself.
  if (launchee.source.router && !(launchee.known && launchee.known->Has("--models-dir"))) launchee.source = {};
  return launchee;
}

// The models of a program whose memory is not foretold; of one that may mean something else by -m only those that
// exist.
std::vector<std::string> ModelArguments(const Launchee& launchee) {
  std::vector<std::string> models;
  for (const GivenOption& given : launchee.arguments.options()) {
    if (given.option != OptionId::kModel || !given.value) continue;
    // llama-bench measures several, one after the other.
    std::vector<std::string> paths = ListFields(*given.value);
    if (paths.size() > 1) paths.push_back(*given.value);
    std::copy_if(paths.begin(), paths.end(), std::back_inserter(models), [](const std::string& path) {
      std::error_code error;
      return std::filesystem::is_regular_file(path, error);
    });
  }
  return models;
}

// Whether the weights alone are more than the program may have.
bool ExceedsMemory(const std::string& model_path, const FlashOptions& options) {
  const auto model = PrepareModel(model_path, options);
  return model.ok() &&
         DivideMemory(model->limits, model->weights, model->catalogue.weight_bytes(), std::nullopt).streams;
}

// Another way of loading than a mapping is taken out where weights stream.
void MapModel(const Launchee& launchee, LaunchSpec& launch) {
  const auto variable = [&](const char* name) -> const char* {
    const auto found = std::find_if(launch.environment.begin(), launch.environment.end(),
                                    [&](const auto& entry) { return entry.first == name; });
    return found == launch.environment.end() ? nullptr : found->second.c_str();
  };
  if (const std::string unmapped_by = UnmappedBy(launch.arguments, variable); !unmapped_by.empty()) {
    launch.arguments = Mapped(std::move(launch.arguments)).words();
    std::erase_if(launch.environment, [](const auto& entry) { return IsLoadVariable(entry.first); });
    launch.environment.emplace_back(kLoadModeVariable, kMappedMode);
    Say(MappedLine(unmapped_by));
  }
  const auto preset = launchee.arguments.Value(OptionId::kModelsPreset);
  if (!launchee.source.router || !preset || !launchee.known || !launchee.known->Has("--load-mode")) return;
  const std::string in_preset = UnmappedInPreset(ReadTextFile(*preset).value_or(""));
  if (in_preset.empty()) return;
  // An option of the server's goes before its models' own.
  launch.arguments.insert(launch.arguments.end(), {"--load-mode", kMappedMode});
  Say(MappedLine(fmt::format("{} in {}", in_preset, OneLine(*preset))));
}

// The library has the whole budget and decides by itself what streams.
Status LetLibraryDecide(const Launchee& launchee, const MemoryLimits& limits, LaunchSpec& launch, Config& config) {
  const auto settled =
      launchee.program.kind == ProgramKind::kServer
          ? SettleUnknownServer(launchee.source.router, launchee.arguments, limits, launch.environment, config)
          : Result<std::vector<std::string>>(std::vector<std::string>());
  if (!settled.ok()) return settled.status();
  Say(fmt::format(
      "{}: {}, so headrace cannot predict what it will allocate and only measures it; weights that do not fit stream "
      "within {}",
      std::filesystem::path(launch.program).filename().string(), launchee.source.unknown, DescribeLimit(limits)));
  for (const std::string& line : *settled) Say(line);
  return {};
}

void Tell(const EngineArguments& more, Launchee& launchee, LaunchSpec& launch) {
  launchee.arguments.Append(more);
  launch.arguments.insert(launch.arguments.end(), more.words().begin(), more.words().end());
}

// The program is told what goes on devices, where its user does not.
Status PlaceModel(Launchee& launchee, const Engine& simulator, ModelSetup& model, LaunchSpec& launch) {
  if (!MayHaveDevices(simulator, launchee.arguments) && !model.vram.named()) return {};
  if (!launchee.known) {
    auto known = QueryOptions(launch.program, launchee.command);
    if (!known.ok()) return known.status();
    launchee.known = std::move(*known);
  }
  std::optional<Result<EngineSimulation>> simulation;
  auto arguments = launchee.arguments;
  if (launchee.program.kind == ProgramKind::kServer) arguments = ServerMemoryArguments(std::move(arguments));
  const auto options = ChooseDevices(&simulator, *launchee.known, arguments, model, simulation);
  if (!options.ok() || options->empty()) return options.status();
  EngineArguments more(*options);
  // The engine would choose once more.
  if (launchee.known->Has("-fit") && !launchee.arguments.Value(OptionId::kFit)) more.Append({"-fit", "off"});
  Tell(more, launchee, launch);
  return {};
}

// Whether it gives embeddings or ranks: then each input must be in one pass.
bool Embeds(const EngineArguments& arguments) {
  return arguments.HasAny({OptionId::kEmbeddings, OptionId::kReranking});
}

// The program is told how wide the passes of a prompt are, where its user does not say it. llama-server's other
// requests wait for a whole logical batch (-b), however wide its passes are.
void WidenPasses(Launchee& launchee, const Engine& simulator, ModelSetup& model, LaunchSpec& launch,
                 std::optional<Result<EngineSimulation>>& simulation) {
  if (Embeds(launchee.arguments)) return;
  const auto arguments =
      launchee.program.kind == ProgramKind::kServer ? LeastServerArguments(launchee.arguments) : launchee.arguments;
  simulation = EngineSimulation::Prepare(simulator, arguments);
  // What is wrong is said when it is settled with what was chosen.
  if (!simulation->ok() || !SettleMemory(*simulation, arguments, model).ok() || !model.passes_stream()) return;
  if (!launchee.known) {
    auto known = QueryOptions(launch.program, launchee.command);
    if (!known.ok()) return;
    launchee.known = std::move(*known);
  }
  if (!launchee.known->Has("-ub")) return;
  AddDiskSpeed(launchee.source.model, simulator, model.config);
  const std::string version = QueryVersion(simulator);
  MachineProfile machine = MachineSpeeds(launchee.source.model, version);
  if (model.config.disk_bytes_per_s > 0) machine.disk_bytes_per_s = model.config.disk_bytes_per_s;
  const auto cost = PassCostOf(model, machine, LoadLearned(LearnedPlaceOf(model, "", version)));
  const auto width = cost.ok()
                         ? ChoosePromptWidth(model, *cost, launchee.arguments, PromptPasses::kAlone, 0, &**simulation)
                         : std::nullopt;
  if (!width) return;
  model.prompt_width = *width;
  Tell(EngineArguments({WithValue(OptionId::kUbatch, std::to_string(*width))}), launchee, launch);
}

// Of a model that is here: what streams is decided before the start.
Result<bool> Foretell(Launchee& launchee, const Engine& simulator, ModelSetup& model, LaunchSpec& launch,
                      Config& config) {
  HEADRACE_RETURN_IF_ERROR(CheckFileArguments(launchee.arguments));
  HEADRACE_RETURN_IF_ERROR(PlaceModel(launchee, simulator, model, launch));
  std::optional<Result<EngineSimulation>> simulation;
  WidenPasses(launchee, simulator, model, launch, simulation);
  HEADRACE_RETURN_IF_ERROR(launchee.program.kind == ProgramKind::kServer
                               ? SettleServer(simulator, launchee.arguments, model, launch.environment, simulation)
                               : SettleMemory(&simulator, launchee.arguments, model, simulation));
  SayDecision(model);
  launchee.on_devices = model.memory.loads_only;
  const FlashMode asked = config.flash_mode;
  config = model.LibraryConfig();
  // The program may download a newer file, which need not fit.
  if (!model.streams() && launchee.source.downloaded) config.flash_mode = asked;
  if (model.streams()) AddDiskSpeed(launchee.source.model, simulator, config);
  return model.streams();
}

// Whether weights stream, or may. What the program and the library are told of the memory is settled.
Result<bool> Settle(Launchee& launchee, const Engine& simulator, const FlashOptions& options,
                    const MemoryLimits& limits, const VramLimit& vram, LaunchSpec& launch, Config& config) {
  ModelSource& source = launchee.source;
  if (launchee.program.generates() && !source.model.empty()) {
    auto model = PrepareModel(source.model, options);
    if (model.ok()) return Foretell(launchee, simulator, *model, launch, config);
    if (!source.downloaded) return model.status();
    source.unknown = fmt::format("its downloaded model cannot be read yet ({})", model.status().message());
  }
  if (vram.named())
    Say(
        fmt::format("{} is ignored: headrace chooses devices only for llama.cpp's own programs, and for a model that "
                    "is on this machine; give the program -ngl",
                    vram.origin));
  if (config.flash_mode != FlashMode::kOff && !source.unknown.empty()) {
    HEADRACE_RETURN_IF_ERROR(LetLibraryDecide(launchee, limits, launch, config));
    return true;
  }
  if (config.flash_mode != FlashMode::kAuto) return config.flash_mode == FlashMode::kOn;
  const auto models = ModelArguments(launchee);
  return std::any_of(models.begin(), models.end(),
                     [&](const std::string& path) { return ExceedsMemory(path, options); });
}

int Exec(const ExecOptions& options, const std::vector<std::string>& words, const Environment& variables) {
  if (words.empty()) {
    return Fail(
        "exec needs a program; write headrace exec [options] -- PROGRAM ARGS, for instance headrace exec --ram 8G -- "
        "llama-server -m model.gguf",
        kExitUsage);
  }
  if (words.front().starts_with('-')) {
    return Fail(fmt::format("exec has no option {}; see headrace exec --help", words.front()), kExitUsage);
  }
  auto resolved = ResolveConfig(
      options.flash, [](const char* name) { return std::getenv(name); },
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
  LaunchSpec& launch = session.launch;
  launch.program = *program;
  launch.arguments.assign(words.begin() + 1, words.end());
  launch.environment = variables;
  Launchee launchee;
  if (config.wants_library()) {
    launchee = Understand(launch);
    // Where no engine is found the program's own folder may have what foretells.
    const Engine simulator =
        engine.ok() ? *engine : Engine{std::filesystem::path(*program).parent_path().string(), "the program's folder"};
    const auto streams = Settle(launchee, simulator, options.flash, resolved->limits, resolved->vram, launch, config);
    if (!streams.ok()) return Fail(streams.status());
    if (*streams) MapModel(launchee, launch);
  }
  if (config.debug) {
    Say(fmt::format("{} {}", *program, fmt::join(launch.arguments, " ")));
    for (const auto& [name, value] : config.ToEnvironment()) Say(fmt::format("{}={}", name, value));
  }
  session.config = config;
  auto result = RunSession(std::move(session));
  if (!result.ok()) {
    return Fail(result.status().message(),
                result.status().code() == Code::kNotFound ? kExitNotFound : kExitNotExecutable);
  }
  result->on_devices = launchee.on_devices;
  if (options.stats || config.debug) PrintSummary(*result);
  // Nobody may have asked for a model.
  if (launchee.source.router && config.flash_mode == FlashMode::kOn) config.flash_mode = FlashMode::kAuto;
  return ReportEnd(*result, config, std::filesystem::path(*program).filename().string());
}

}  // namespace

void AddExecCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("exec",
                                         "Run any program that uses llama.cpp's shared libraries: "
                                         "exec [OPTIONS] -- PROGRAM ARGS...");
  command->footer(kExecExamples);
  command->prefix_command();
  command->fallthrough(false);  // the program's options are its own
  const auto options = std::make_shared<ExecOptions>();
  command->add_flag("--stats", options->stats, "Print at the end what was resident and streamed, and how fast");
  AddFlashOptions(*command, options->flash);
  AddEngineOption(*command, options->engine);
  ShowFirst(*command, {"ram", "vram", "stats"});
  command->callback([options, command, &line] {
    std::vector<std::string> words = command->remaining();
    words.insert(words.end(), line.rest.words().begin(), line.rest.words().end());
    line.action = [options, words, &line] { return Exec(*options, words, line.variables); };
  });
}

}  // namespace headrace::cli
