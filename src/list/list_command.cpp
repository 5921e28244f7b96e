// headrace list: the models on this machine, and what can be expected of each.
#include "list/list_command.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/log.h"
#include "base/say.h"
#include "engine/engine_probe.h"
#include "list/list_report.h"
#include "models/file_names.h"
#include "report/exit_status.h"
#include "report/help.h"
#include "report/output.h"
#include "report/progress_line.h"

namespace headrace::list {
namespace {

constexpr const char* kExamples = R"(
Examples:
  headrace list                                the models on this machine, with nine tenths of the available memory
  headrace list --ram 8G                       with 8 GiB for the whole process
  headrace list --models-dir ~/models          the models of that folder, too
  headrace list --json                         for programs: sizes in bytes
  headrace run qwen3:30b                       a name from the list works wherever a file does

headrace looks in the folders of HEADRACE_MODELS_DIR (several with a colon between them), and in the folders where Hugging
Face's programs, llama.cpp, LM Studio and Ollama keep models.

MEMORY says fits: the whole model is in memory; streams: each pass reads weights from disk; too small: there is too little
memory even for streaming. docs/models.md says more.
)";

struct ListOptions {
  std::vector<std::string> folders;
  bool json = false;
  std::string engine;
  cli::FlashOptions flash;
};

// What it knows of the engine; without one only weights are counted.
Status FindEngine(const std::string& option, serve::Settings& settings) {
  Config any;
  any.flash_mode = FlashMode::kAuto;
  auto engine = cli::PrepareEngine(option, {"llama-server"}, any);
  if (!engine.ok()) {
    settings.engine_version = "none";
    return option.empty() ? Status() : engine.status();
  }
  settings.engine = std::move(*engine);
  if (auto known = cli::QueryOptions(settings.engine.program); known.ok()) settings.known = std::move(*known);
  settings.engine_version = cli::QueryVersion(settings.engine.engine);
  return {};
}

int List(const ListOptions& options) {
  const auto getenv = [](const char* name) { return std::getenv(name); };
  std::vector<ModelPlace> places = PlacesOf(options.folders);
  for (const std::string& folder : options.folders) {
    if (const Status folder_ok = ModelLibrary::CheckFolder(folder); !folder_ok.ok()) return cli::Fail(folder_ok);
  }
  for (const ModelPlace& place : MachinePlaces(getenv)) places.push_back(place);
  serve::Settings settings;
  settings.flash = options.flash;
  const auto config = cli::ResolveConfig(settings.flash, getenv, {});
  if (!config.ok()) return cli::Fail(config.status());
  if (const Status found = FindEngine(options.engine, settings); !found.ok())
    return cli::Fail(found.message(), cli::kExitNotFound);
  // What a load would warn of is not asked here.
  SetLogLevel(LogLevel::kQuiet);
  ModelLibrary library(places, {});
  cli::ProgressLine progress;
  progress.Show("looking for models");
  std::vector<ModelEntry> entries = library.Scan();
  std::erase_if(entries, [](const ModelEntry& entry) {
    return entry.kind == ModelKind::kProjector || IsProjectorName(entry.path);
  });
  Foreseer foreseer(settings, library);
  std::vector<ListedModel> models;
  for (ModelEntry& entry : entries) {
    progress.Show(fmt::format("{} of {}: {}", models.size() + 1, entries.size(), entry.id));
    Outlook outlook = foreseer.Foresee(entry);
    models.push_back({std::move(entry), std::move(outlook)});
  }
  progress.Show("");
  const uint64_t limit = config->config.process_bytes;  // 0: none
  const uint64_t memory = limit != Config::kAutomatic && limit > 0 ? limit : foreseer.available().bytes;
  if (models.empty() && !options.json) {
    Say("there is no model on this machine; headrace pull hf:USER/REPOSITORY fetches one");
    return cli::kExitOk;
  }
  cli::WriteOutput(options.json ? RenderListJson(models, memory) : RenderListText(models, memory));
  return cli::kExitOk;
}

}  // namespace

void AddListCommand(CLI::App& app, cli::CommandLine& line) {
  CLI::App* command =
      app.add_subcommand("list", "List the models on this machine: whether each fits, and how fast it would be");
  command->footer(kExamples);
  const auto options = std::make_shared<ListOptions>();
  command->add_option("--models-dir", options->folders, "Look in this folder too; may be given several times")
      ->type_name("DIR")
      ->allow_extra_args(false);
  command->add_flag("--json", options->json, "Machine-readable output");
  cli::AddFlashOptions(*command, options->flash);
  cli::AddEngineOption(*command, options->engine);
  cli::ShowFirst(*command, {"models-dir", "json", "ram", "vram"});
  command->callback([options, &line] { line.action = [options] { return List(*options); }; });
}

}  // namespace headrace::list
