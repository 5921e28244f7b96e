// headrace run: a chat with a model, or one answer.
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>

#include <fmt/format.h>

#include "cli/answer_filter.h"
#include "cli/engine_arguments.h"
#include "cli/engine_probe.h"
#include "cli/exit_status.h"
#include "cli/model_setup.h"
#include "cli/modelfile_use.h"
#include "cli/options.h"
#include "cli/session.h"

namespace headrace::cli {
namespace {

constexpr const char* kExamples = R"(
Examples:
  headrace run model.gguf                          chat, in nine tenths of the available memory
  headrace run model.gguf --ram 4G                 chat within 4 GiB for the whole process
  headrace run model.gguf -p "Why is the sky blue?"      one answer on standard output
  headrace run model.gguf -p "Once upon a time" --raw -n 64 --temp 0
  headrace run model.gguf -c 131072 --kv-dir /var/tmp --kv-ram 2G      a context whose KV cache is larger than memory
  headrace run model.gguf --ram 4G -- --top-k 20 --cache-type-k q8_0     options of llama.cpp's own
  headrace run --modelfile Modelfile               the model, its settings and its budget from a file (docs/modelfile.md)

Without -p it starts llama-cli, with it llama-completion. One line on standard error says whether weights stream
and why, and after a run that streams some lines say what was resident, what was streamed and how fast; --quiet
leaves them out.
)";

struct RunOptions {
  std::string model;
  std::string modelfile;
  bool no_modelfile = false;
  std::string prompt;
  std::string prompt_file;
  bool raw = false;
  bool quiet = false;
  std::string tokens, context, threads, seed, temperature;
  std::string engine;
  FlashOptions flash;
};

bool WriteAll(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(STDOUT_FILENO, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    text.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

// What the Modelfile says about streaming, where no option does.
void ApplyFlash(const Modelfile& file, FlashOptions& flash) {
  if (file.flash_mode && flash.flash_mode.empty()) flash.flash_mode = ToString(*file.flash_mode);
  if (file.flash_ram_gb > 0 && flash.weights_ram.empty()) flash.weights_ram = fmt::format("{:.6f}G", file.flash_ram_gb);
}

int Run(RunOptions options, bool has_prompt, const std::vector<std::string>& rest) {
  if (has_prompt && !options.prompt_file.empty()) return Fail("-p and -f both give a prompt; leave one out", kExitUsage);
  const auto file = FindModelfile(options.model, options.modelfile, !options.no_modelfile);
  if (!file.ok()) return Fail(file.status());
  options.model = file->model;
  ApplyFlash(file->file, options.flash);
  auto model = PrepareModel(options.model, options.flash);
  if (!model.ok()) return Fail(model.status());
  if (file->file.look_ahead) model->config.look_ahead = *file->file.look_ahead;
  auto defaults = EngineOptionsOf(*file, model->catalogue);
  if (!defaults.ok()) return Fail(defaults.status());
  const bool one_answer = has_prompt || !options.prompt_file.empty();
  // Releases before llama-completion did both with llama-cli.
  auto engine = one_answer ? PrepareEngine(options.engine, {"llama-completion", "llama-cli"}, model->config)
                           : PrepareEngine(options.engine, {"llama-cli"}, model->config);
  if (!engine.ok()) return Fail(engine.status().message(), kExitNotFound);
  const auto known = QueryOptions(engine->program);
  if (!known.ok()) return Fail(known.status().message(), kExitNotExecutable);

  RunArguments run;
  run.model = options.model;
  if (has_prompt) run.prompt = options.prompt;
  if (!options.prompt_file.empty()) run.prompt_file = options.prompt_file;
  run.use_chat_template = model->catalogue.has_chat_template && !options.raw;
  run.model_context = model->catalogue.context_length;
  run.debug = model->config.debug;
  const auto given = [](const std::string& text) { return text.empty() ? std::nullopt : std::optional<std::string>(text); };
  run.settings = {given(options.tokens), given(options.context), given(options.threads), given(options.seed),
                  given(options.temperature)};
  run.defaults = std::move(*defaults);
  run.rest = rest;
  std::vector<std::string> notes = DescribeModelfile(*file, model->catalogue);
  if (run.one_answer() && !run.use_chat_template) {
    if (!file->file.system.empty()) notes.push_back("SYSTEM is left out: a text that is continued without a chat template has no system prompt");
  } else {
    run.system_prompt = file->file.system;
  }
  if (!options.quiet) {
    for (const std::string& note : notes) fmt::print(stderr, "headrace: {}\n", note);
  }
  auto arguments = BuildRunArguments(run, *known);
  if (!arguments.ok()) return Fail(arguments.status());
  if (model->config.wants_library()) {
    if (const Status settled = SettleMemory(&engine->engine, *arguments, *model); !settled.ok()) return Fail(settled);
    if (!options.quiet) SayDecision(*model);
  }
  if (model->streams()) {
    run.streams = true;
    arguments = BuildRunArguments(run, *known);
    if (!arguments.ok()) return Fail(arguments.status());
    AddDiskSpeed(options.model, engine->engine, model->config);
  }
  DebugEngine(*engine, *arguments, model->config);

  Session session;
  session.launch.program = engine->program;
  session.launch.arguments = std::move(*arguments);
  session.config = model->LibraryConfig();
  session.library = session.config.wants_library() ? engine->library : "";
  AnswerFilter filter;
  if (one_answer) {
    session.owns_terminal = true;
    session.launch.stdin_null = true;
    session.launch.on_stdout = [&](std::string_view text) { return WriteAll(filter.Feed(text)); };
  }
  const auto result = RunSession(std::move(session));
  if (!result.ok()) return Fail(result.status().message(), kExitNotExecutable);
  if (one_answer) WriteAll(filter.Finish());
  const bool kv_in_file = result->statistics && result->statistics->kv_bytes_written > 0;
  if (!options.quiet && (model->streams() || kv_in_file)) PrintSummary(*result);
  return ReportEnd(*result, model->config, std::filesystem::path(engine->program).filename().string());
}

}  // namespace

void AddRunCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("run", "Chat with a model, or answer one prompt");
  command->footer(kExamples);
  const auto options = std::make_shared<RunOptions>();
  command->add_option("model", options->model, "GGUF file; any part of a split model")->type_name("MODEL");
  CLI::Option* modelfile = command->add_option("--modelfile", options->modelfile, "Take the model and its settings from this file (docs/modelfile.md); a file "
                                                                                    "named Modelfile beside the model counts by itself")
                               ->type_name("FILE");
  command->add_flag("--no-modelfile", options->no_modelfile, "Leave a Modelfile beside the model out")->excludes(modelfile);
  const CLI::Option* prompt = command->add_option("-p,--prompt", options->prompt, "Prompt: print one answer and end")->type_name("TEXT");
  command->add_option("-f,--file", options->prompt_file, "Prompt from a file, instead of -p")->type_name("FILE");
  command->add_flag("--raw", options->raw, "Continue the prompt's text although the model has a chat template");
  command->add_flag("-q,--quiet", options->quiet, "No lines about what was decided and how it went");
  command->add_option("-n,--predict", options->tokens, "Most tokens to generate")->type_name("N");
  command->add_option("-c,--ctx-size", options->context, "Context in tokens (default: the model's, at most 4096)")->type_name("N");
  command->add_option("-t,--threads", options->threads, "Threads (default: llama.cpp's)")->type_name("N");
  command->add_option("-s,--seed", options->seed, "Seed of the sampling")->type_name("N");
  command->add_option("--temp", options->temperature, "Temperature; 0 takes the likeliest token")->type_name("T");
  AddFlashOptions(*command, options->flash);
  AddEngineOption(*command, options->engine);
  command->callback([options, prompt, &line] {
    line.action = [options, prompt, &line] { return Run(*options, prompt->count() > 0, line.rest); };
  });
}

}  // namespace headrace::cli
