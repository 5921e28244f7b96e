#include "run/run_command.h"

#include <csignal>
#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/say.h"
#include "engine/engine_probe.h"
#include "engine/engine_variables.h"
#include "engine/load_mode.h"
#include "engine/session.h"
#include "report/exit_status.h"
#include "report/finite_number.h"
#include "report/help.h"
#include "report/output.h"
#include "run/answer.h"
#include "run/answer_filter.h"
#include "run/prompt_file.h"
#include "run/run_plan.h"
#include "setup/model_name.h"
#include "setup/model_setup.h"
#include "setup/modelfile_use.h"
#include "setup/options.h"
#include "setup/speculation.h"
#include "setup/workers.h"

namespace headrace::run {
namespace {

using cli::Fail;

constexpr const char* kExamples = R"(
Examples:
  headrace run model.gguf                          chat, with nine tenths of the available memory
  headrace run model.gguf --ram 4G                 chat, with 4 GiB for the whole process
  headrace run model.gguf -p "Why is the sky blue?"      one answer on standard output
  headrace run model.gguf -p "Once upon a time" --raw -n 64 --temp 0
  headrace run model.gguf -f letter.txt            the prompt from a file; -f - takes it from standard input
  headrace run model.gguf --ram 16G --vram 8G      8 GiB of a graphics card, 16 GiB of memory, the rest on disk
  headrace run model.gguf --workers 192.168.1.5    layers that do not fit here go to another machine (headrace worker)
  headrace run model.gguf --ram 4G --draft small.gguf     a small model drafts tokens, the large one judges them
  headrace run model.gguf -c 131072 --kv-dir /var/tmp --kv-ram 2G      a context whose KV cache is larger than memory
  headrace run model.gguf --ram 4G -- --top-k 20 --cache-type-k q8_0     options of llama.cpp
  headrace run --modelfile Modelfile               the model, its settings and its budget from a file (docs/modelfile.md)

Without a prompt headrace starts llama-cli. With a prompt it starts llama-server for one answer if weights stream, else
llama-completion. Lines on standard error say whether weights stream and why, and how tokens are drafted. After a run that
streams they say what was resident, what was streamed and how fast. --quiet turns them off.
)";

struct RunOptions {
  std::string model;
  std::string modelfile;
  bool no_modelfile = false;
  std::string prompt;
  std::string prompt_file;
  bool raw = false;
  std::string tokens, context, threads, seed, temperature;
  std::string engine;
  std::string workers;
  cli::FlashOptions flash;
  cli::SpeculationOptions speculation;
};

// What the engine's program is told, whichever it will be.
cli::RunArguments EngineWishes(const RunOptions& options, bool has_prompt, const cli::EngineArguments& rest,
                               const cli::ModelSetup& model) {
  cli::RunArguments run;
  run.model = options.model;
  if (has_prompt) run.prompt = options.prompt;
  if (!options.prompt_file.empty()) run.prompt_file = options.prompt_file;
  run.use_chat_template = model.catalogue.has_chat_template && !options.raw;
  run.model_context = model.catalogue.context_length;
  run.debug = model.config.debug;
  const auto given = [](const std::string& text) {
    return text.empty() ? std::nullopt : std::optional<std::string>(text);
  };
  run.settings = {given(options.tokens), given(cli::ContextText(options.context, run.model_context)),
                  given(options.threads), given(options.seed), given(options.temperature)};
  run.rest = rest;
  return run;
}

// One answer by llama-server.
AnswerResult AnswerByServer(const cli::RunArguments& run, const RunPlan& plan, const cli::EngineSetup& engine,
                            const cli::ModelSetup& model) {
  AnswerTask task;
  task.server.label = std::filesystem::path(run.model).filename().string();
  task.server.program = plan.program;
  task.server.arguments = plan.arguments.words();
  task.server.library = engine.library;
  task.server.config = model.LibraryConfig();
  task.server.own_group = false;  // Ctrl-Z stops it too
  task.prompt = plan.prompt;
  task.context = plan.context;
  task.use_chat_template = run.use_chat_template;
  task.system_prompt = run.system_prompt;
  if (model.streams()) task.prompt_seconds = [&](uint64_t tokens) { return PromptSeconds(plan, model, tokens); };
  return GiveAnswer(std::move(task));
}

// A chat, or one answer, by a program that has the terminal or whose text passes through here.
Result<cli::SessionResult> RunProgram(const cli::RunArguments& run, const RunPlan& plan, const cli::EngineSetup& engine,
                                      const cli::ModelSetup& model) {
  cli::Session session;
  session.launch.program = plan.program;
  session.launch.death_signal = SIGKILL;
  session.launch.arguments = plan.arguments.words();
  session.config = model.LibraryConfig();
  session.library = session.config.wants_library() ? engine.library : "";
  AnswerFilter filter;
  bool written = true;
  if (run.one_answer()) {
    session.owns_terminal = true;
    session.launch.stdin_null = true;
    session.launch.on_stdout = [&](std::string_view text) { return written = cli::WriteOutput(filter.Feed(text)); };
  }
  auto result = RunSession(std::move(session));
  if (result.ok() && run.one_answer()) written = cli::WriteOutput(filter.Finish()) && written;
  // Its own end comes from that.
  if (result.ok() && !written) result->process = {cli::OutputStatus(cli::kExitOk), 0, false};
  return result;
}

// Lines about how it went, and the exit status.
int Report(AnswerResult result, const RunPlan& plan, const cli::ModelSetup& model) {
  result.session.on_devices = model.memory.loads_only;
  const auto& statistics = result.session.statistics;
  const bool kv_in_file = statistics && statistics->kv_bytes_written > 0;
  if (model.streams() || kv_in_file) PrintSummary(result.session);
  // llama-cli does not tell what became of its drafts.
  const uint64_t draft_tokens = plan.by_server && plan.speculation ? plan.speculation->draft_tokens : 0;
  if (result.counts.tokens > 0) Say(CountsText(result.counts));
  if (statistics && plan.speculation)
    StoreLearned(plan.place, {*statistics, draft_tokens, result.counts.drafted, result.counts.accepted});
  if (!result.failure.ok() || result.session.process.signal != 0) {
    if (const std::string lost = cli::LostWorkers(plan.arguments); !lost.empty()) {
      return Fail(fmt::format("the answer ended in the middle: {}; the same command goes on without it", lost),
                  cli::kExitFailure);
    }
  }
  const int status = ReportEnd(result.session, model.config, std::filesystem::path(plan.program).filename().string());
  const bool said = result.session.process.signal != 0 || (statistics && !statistics->last_error.empty());
  if (result.failure.ok() || said) return status;
  return Fail(result.failure.message(), status == cli::kExitOk ? cli::kExitFailure : status);
}

// Options that the command's own, or the Modelfile, say.
cli::EngineArguments Said(const RunOptions& options, const cli::RunArguments& run) {
  cli::EngineArguments said = run.rest;
  const auto given = [&](const std::string& value, cli::OptionId option) {
    if (!value.empty()) said.Append(option, value);
  };
  given(options.context, cli::OptionId::kContext);
  given(options.tokens, cli::OptionId::kTokens);
  given(options.threads, cli::OptionId::kThreads);
  given(options.temperature, cli::OptionId::kTemperature);
  said.Append(SaidOfSpeculation(options.speculation));
  said.Append(cli::EngineArguments(run.defaults));
  return said;
}

int Run(RunOptions options, bool has_prompt, const cli::CommandLine& line) {
  if (has_prompt && !options.prompt_file.empty())
    return Fail("-p and -f both give a prompt; leave one out", cli::kExitUsage);
  std::optional<PromptFile> prompt;
  if (!options.prompt_file.empty()) {
    auto opened = PromptFile::Open(options.prompt_file);
    if (!opened.ok()) return Fail(opened.status());
    options.prompt_file = opened->path();
    prompt = std::move(*opened);
  }
  if (options.model.empty() && options.modelfile.empty()) return cli::Fail(cli::NoModelText("run"), cli::kExitUsage);
  const auto file = cli::FindModelfile(options.model, options.modelfile, !options.no_modelfile);
  if (!file.ok()) return Fail(file.status());
  options.model = file->model;
  auto model = cli::PrepareModel(options.model, WithFlash(options.flash, file->file));
  if (!model.ok()) return Fail(model.status());
  if (file->file.look_ahead) model->config.look_ahead = *file->file.look_ahead;
  auto defaults = EngineOptionsOf(*file, model->catalogue);
  if (!defaults.ok()) return Fail(defaults.status());
  cli::RunArguments run = EngineWishes(options, has_prompt, line.rest, *model);
  run.defaults = std::move(*defaults);
  // Releases before llama-completion did both with llama-cli.
  auto engine = run.one_answer() ? cli::PrepareEngine(options.engine, {"llama-completion", "llama-cli"}, model->config)
                                 : cli::PrepareEngine(options.engine, {"llama-cli"}, model->config);
  if (!engine.ok()) return Fail(engine.status().message(), cli::kExitNotFound);
  const auto known = cli::QueryOptions(engine->program);
  if (!known.ok()) return Fail(known.status().message(), cli::kExitNotExecutable);

  const auto variables = cli::ChooseVariables(line.variables, *known, Said(options, run), cli::ServerModeOptions());
  run.rest = Joined(variables.arguments, run.rest);
  std::vector<std::string> notes = DescribeModelfile(*file, model->catalogue);
  notes.insert(notes.end(), variables.lines.begin(), variables.lines.end());
  if (run.one_answer() && !run.use_chat_template) {
    if (!file->file.system.empty())
      notes.push_back("SYSTEM is ignored: without a chat template there is no system prompt");
  } else {
    run.system_prompt = file->file.system;
  }
  for (const std::string& note : notes) Say(note);
  if (const Status asked =
          PutWorkersBefore(options.workers, engine->engine, model->path, run.rest, &model->asked_devices);
      !asked.ok())
    return Fail(asked);
  const auto plan = PlanRun(run, options.speculation, *engine, *known, *model);
  if (!plan.ok()) return Fail(plan.status());
  if (model->config.wants_library()) SayDecision(*model);
  if (model->streams()) cli::SayMapped(run.rest);
  if (plan->speculation) Say(plan->speculation->line);
  engine->program = plan->program;
  DebugEngine(*engine, plan->arguments, model->config);
  if (plan->by_server) return Report(AnswerByServer(run, *plan, *engine, *model), *plan, *model);
  auto result = RunProgram(run, *plan, *engine, *model);
  if (!result.ok()) return Fail(result.status().message(), cli::kExitNotExecutable);
  return Report({std::move(*result), Status(), {}}, *plan, *model);
}

}  // namespace

void AddRunCommand(CLI::App& app, cli::CommandLine& line) {
  CLI::App* command = app.add_subcommand("run", "Chat with a model, or answer one prompt");
  command->footer(kExamples);
  const auto options = std::make_shared<RunOptions>();
  cli::TakesModel(
      command->add_option("model", options->model, "GGUF file, any part of a split one, or a name of `headrace list`"))
      ->type_name("MODEL");
  CLI::Option* modelfile =
      command
          ->add_option("--modelfile", options->modelfile,
                       "Take the model and its settings from this file (docs/modelfile.md). Without this option "
                       "headrace reads a file named Modelfile beside the model")
          ->type_name("FILE");
  command->add_flag("--no-modelfile", options->no_modelfile, "Ignore a Modelfile beside the model")
      ->excludes(modelfile);
  const CLI::Option* prompt =
      command->add_option("-p,--prompt,prompt", options->prompt, "Prompt: print one answer and end")->type_name("TEXT");
  command
      ->add_option("-f,--file", options->prompt_file, "Read the prompt from a file instead of -p; - is standard input")
      ->type_name("FILE");
  command->add_flag("--raw", options->raw, "Continue the prompt's text, even if the model has a chat template");
  command
      ->add_option("-n,--predict", options->tokens,
                   "Largest number of tokens to generate (-1: no limit, -2: until the context is full)")
      ->type_name("N")
      ->check(CLI::Range(int64_t{-2}, int64_t{INT32_MAX}));
  command
      ->add_option("-c,--ctx-size", options->context,
                   "Context in tokens, 0 for the model's own (default: the model's, at most 4096)")
      ->type_name("N")
      ->check(CLI::Range(int64_t{0}, int64_t{INT32_MAX}));
  command->add_option("-t,--threads", options->threads, "Threads (default: llama.cpp's)")
      ->type_name("N")
      ->check(CLI::Range(int64_t{-1}, int64_t{65536}));
  command->add_option("-s,--seed", options->seed, "Seed of the sampling (-1: a new one each time)")
      ->type_name("N")
      ->check(CLI::Range(int64_t{-1}, int64_t{UINT32_MAX}));
  command->add_option("--temp", options->temperature, "Temperature; 0 always takes the likeliest token")
      ->type_name("T")
      ->check(cli::FiniteNumber(0, 1000));
  AddSpeculationOptions(*command, options->speculation);
  cli::AddFlashOptions(*command, options->flash);
  cli::AddWorkersOption(*command, options->workers);
  cli::AddEngineOption(*command, options->engine);
  cli::ShowFirst(*command, {"prompt", "file", "ram", "vram", "predict", "ctx-size"});
  command->callback([options, prompt, &line] {
    line.action = [options, prompt, &line] { return Run(*options, prompt->count() > 0, line); };
  });
}

}  // namespace headrace::run
