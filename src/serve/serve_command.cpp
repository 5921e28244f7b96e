#include "serve/serve_command.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/log.h"
#include "base/say.h"
#include "base/size.h"
#include "engine/engine_probe.h"
#include "engine/engine_variables.h"
#include "gguf/catalogue.h"
#include "http/api_keys.h"
#include "http/cross_origin.h"
#include "http/guard.h"
#include "llama_server/lone_server.h"
#include "models/model_library.h"
#include "models/model_names.h"
#include "report/exit_status.h"
#include "report/help.h"
#include "serve/models/config_store.h"
#include "serve/models/prompt_files.h"
#include "serve/server.h"
#include "setup/model_name.h"
#include "setup/model_setup.h"
#include "setup/workers.h"

namespace headrace::serve {
namespace {

constexpr const char* kExamples = R"(
Examples:
  headrace serve                                   every model on this machine; loaded when a request names it
  headrace serve --models-dir ~/models             every GGUF file there
  headrace serve model.gguf --ram 8G               one model, loaded at once
  headrace serve --models-dir ~/models --models-max 2 --ttl 30m
  headrace serve --models-dir ~/models --alias gpt-4o=qwen3-30b     another name for a model
  headrace serve --models-dir ~/models --ram 16G --vram 8G         a graphics card, memory and disk together
  headrace serve model.gguf --host 0.0.0.0 --api-key-file keys     for other machines too
  headrace serve model.gguf -- --temp 0.7 --threads 8              options of llama-server's own

Programs use http://127.0.0.1:8080/v1 as an OpenAI-compatible API; the page is at http://127.0.0.1:8080.
Programs of Ollama need OLLAMA_HOST=127.0.0.1:8080 (or --port 11434 here), those of LM Studio's REST API
http://127.0.0.1:8080/api/v0 (or --port 1234). A MODEL without --models-dir answers whatever name a request gives.
`headrace ps`, `load`, `unload`, `chat` and `stop` ask a running server. It stays in the foreground: systemd starts it at each login and
keeps it running (systemctl --user enable --now headrace).
docs/server.md describes the rest. --ram is for all models together. --weights-ram and --flash-mode count for models that
have no configuration of their own; one that was given with POST /api/v1/models/load is remembered in ~/.config/headrace/models.json.
)";

struct ServeOptions {
  Settings settings;
  std::string model;
  std::vector<std::string> folders;
  std::vector<std::string> aliases;
  std::string max_body, prompt_bytes;
  std::string ttl, queue_timeout, evict_after;
  std::string log_format;
  bool log_times = false;
  std::string engine;
};

// "30m", "2h", "90s", "90" into `time`, which keeps its value where nothing is given. `zero`: what 0 means.
Status ReadTime(const char* option, const std::string& text, const char* zero, std::chrono::seconds& time) {
  if (text.empty()) return {};
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  const uint64_t factor = unit.empty() || unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  if (error != std::errc() || factor == 0 || number > 1'000'000) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} {} is not understood; write a time, for instance 30m, 2h or 90s, or 0 for {}", option,
                              text, zero));
  }
  time = std::chrono::seconds(number * factor);
  return {};
}

Status CompleteKeys(Settings& settings) {
  auto keys = SplitKeys(settings.keys);
  if (!keys.ok()) return keys.status();
  settings.keys = settings.fixed_keys = std::move(*keys);
  if (!settings.key_file.empty()) {
    const auto more = ReadKeyFile(settings.key_file);
    if (!more.ok()) return more.status();
    settings.keys.insert(settings.keys.end(), more->begin(), more->end());
  }
  if (IsLoopbackName(settings.host) || !settings.keys.empty()) return {};
  return Status(Code::kInvalidArgument,
                fmt::format("--host {} lets other machines in; give --api-key or --api-key-file too", settings.host));
}

Status CompleteAccess(Settings& settings) {
  for (const std::string& origin : settings.origins) HEADRACE_RETURN_IF_ERROR(CheckOrigin(origin));
  for (const std::string& host : settings.hosts) HEADRACE_RETURN_IF_ERROR(CheckHostName(host));
  auto prefix = PathPrefix(settings.prefix);
  if (!prefix.ok()) return prefix.status();
  settings.prefix = std::move(*prefix);
  return {};
}

Status CompletePrompts(ServeOptions& options, const cli::EngineArguments& rest) {
  Settings& settings = options.settings;
  if (settings.prompt_folder.empty()) {
    return options.prompt_bytes.empty()
               ? Status()
               : Status(Code::kInvalidArgument, "--prompt-cache-max needs --prompt-cache-dir DIR");
  }
  if (rest.Has(cli::OptionId::kSlotFolder)) {
    return Status(Code::kInvalidArgument,
                  "--prompt-cache-dir sets llama-server's --slot-save-path; leave one of both out");
  }
  if (!options.prompt_bytes.empty()) {
    const auto bytes = ParseSize(options.prompt_bytes);
    if (!bytes.ok()) return Status(bytes.status().code(), "--prompt-cache-max: " + bytes.status().message());
    settings.prompt_bytes = *bytes;
  }
  std::error_code error;
  settings.prompt_folder = std::filesystem::absolute(settings.prompt_folder, error).lexically_normal().string();
  if (settings.prompt_folder.size() > 1 && settings.prompt_folder.ends_with('/')) settings.prompt_folder.pop_back();
  const Status ready = PromptFiles(settings.prompt_folder, 0).Prepare();
  return ready.ok() ? ready : Status(ready.code(), "--prompt-cache-dir: " + ready.message());
}

// All of this machine, and the hub's cache before the first model is pulled into it.
std::vector<ModelPlace> PlacesWithHub() {
  const auto getenv = [](const char* name) { return std::getenv(name); };
  auto places = MachinePlaces(getenv);
  const std::string hub = HubFolder(getenv);
  const bool there =
      std::any_of(places.begin(), places.end(), [&](const ModelPlace& place) { return place.folder == hub; });
  if (!hub.empty() && !there) places.push_back({hub});
  return places;
}

// The models that are offered: those of the folders that were named, one file alone, else all of this machine.
Status FindModels(const ServeOptions& options, Settings& settings) {
  for (const std::string& folder : options.folders) HEADRACE_RETURN_IF_ERROR(ModelLibrary::CheckFolder(folder));
  settings.places = PlacesOf(options.folders);
  settings.model = options.model;
  std::error_code error;
  const bool is_file =
      options.folders.empty() ? cli::IsPathOfModel(options.model) : std::filesystem::exists(options.model, error);
  if (!options.model.empty() && is_file) {
    const auto catalogue = ReadCatalogue(options.model);
    if (!catalogue.ok()) return catalogue.status();
    settings.model_file = options.model;
    settings.model = std::filesystem::absolute(options.model, error).lexically_normal().string();
    return {};
  }
  if (options.folders.empty()) settings.places = PlacesWithHub();
  const auto models = FindModelFiles(settings.places, {});
  if (models.empty() && options.folders.empty() && options.model.empty()) {
    Say("there is no model on this machine yet; the page fetches one, as does headrace pull hf:USER/REPOSITORY");
  }
  if (options.model.empty()) return {};
  const auto found = FindByName(models, options.model, {"file or model"});
  if (!found.ok()) return found.status();
  settings.model = found->id;
  return {};
}

// Each stands for a model that is there, and hides none.
Status CompleteAliases(const ServeOptions& options, Settings& settings) {
  auto aliases = ParseAliases(options.aliases);
  if (!aliases.ok()) return aliases.status();
  const std::vector<std::string> files =
      settings.model_file.empty() ? std::vector<std::string>() : std::vector{settings.model_file};
  const auto models = aliases->empty() ? std::vector<ModelFile>() : FindModelFiles(settings.places, files);
  for (const NameAlias& alias : *aliases) {
    const auto meant = FindByName(models, alias.model);
    if (!meant.ok())
      return Status(meant.status().code(),
                    fmt::format("--alias {}={}: {}", alias.name, alias.model, meant.status().message()));
    if (const auto hidden = FindByName(models, alias.name); hidden.ok()) {
      return Status(Code::kInvalidArgument,
                    fmt::format("--alias {}: {} has this name already; choose another one", alias.name, hidden->id));
    }
  }
  settings.aliases = std::move(*aliases);
  return {};
}

// Everything that can be wrong before anything is started.
Status Complete(ServeOptions& options, const cli::EngineArguments& rest) {
  Settings& settings = options.settings;
  HEADRACE_RETURN_IF_ERROR(FindModels(options, settings));
  HEADRACE_RETURN_IF_ERROR(CompleteAliases(options, settings));
  settings.any_name = !options.model.empty() && options.folders.empty();
  HEADRACE_RETURN_IF_ERROR(CompleteKeys(settings));
  HEADRACE_RETURN_IF_ERROR(CompleteAccess(settings));
  if (!options.log_format.empty() && settings.access_log.empty())
    return Status(Code::kInvalidArgument, "--log-format needs --access-log FILE, or - for standard output");
  settings.log_json = options.log_format == "json";
  HEADRACE_RETURN_IF_ERROR(ReadTime("--ttl", options.ttl, "never", settings.ttl));
  HEADRACE_RETURN_IF_ERROR(
      ReadTime("--queue-timeout", options.queue_timeout, "as long as it takes", settings.waiting.longest));
  HEADRACE_RETURN_IF_ERROR(ReadTime("--evict-after", options.evict_after, "never", settings.evict_after));
  if (!options.max_body.empty()) {
    const auto bytes = ParseSize(options.max_body);
    if (!bytes.ok()) return Status(bytes.status().code(), "--max-body: " + bytes.status().message());
    if (*bytes == 0)
      return Status(Code::kInvalidArgument, "--max-body 0 lets no request through; write a size, for instance 64M");
    settings.body_bytes = *bytes;
  }
  HEADRACE_RETURN_IF_ERROR(CompletePrompts(options, rest));
  if (const std::string name = rest.FirstOf(cli::ServersOwnOptions()); !name.empty()) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} after -- is headrace's to set; see headrace serve --help", name));
  }
  settings.rest = rest;
  // The flash options are read for each model; what is wrong with them is said now.
  const auto config = cli::ResolveConfig(settings.flash, [](const char* name) { return std::getenv(name); }, {});
  if (!config.ok()) return config.status();
  if (config->config.process_bytes != Config::kAutomatic) settings.total_bytes = config->config.process_bytes;
  settings.total_origin = config->limits.process_origin;
  if (config->config.debug) SetLogLevel(LogLevel::kDebug);
  return {};
}

int Serve(ServeOptions& options, const cli::CommandLine& line) {
  options.settings.times_in_lines = options.log_times || IsErrorKeptWithoutTime();
  const cli::EngineArguments& rest = line.rest;
  if (const Status status = Complete(options, rest); !status.ok()) return cli::Fail(status);
  Settings& settings = options.settings;
  // The library even with --flash-mode off: a model's own configuration may ask for it.
  Config any;
  any.flash_mode = FlashMode::kAuto;
  auto engine = cli::PrepareEngine(options.engine, {"llama-server"}, any);
  if (!engine.ok()) return cli::Fail(engine.status().message(), cli::kExitNotFound);
  settings.engine = std::move(*engine);
  auto known = cli::QueryOptions(settings.engine.program);
  if (!known.ok()) return cli::Fail(known.status().message(), cli::kExitNotExecutable);
  settings.known = std::move(*known);
  cli::EngineArguments said = settings.rest;
  if (!settings.prompt_folder.empty()) said.Append(cli::OptionId::kSlotFolder, settings.prompt_folder);
  const auto chosen = cli::ChooseVariables(line.variables, settings.known, said, {});
  settings.rest = Joined(chosen.arguments, settings.rest);
  for (const std::string& text : chosen.lines) LogWarning(text);
  if (const auto vram = cli::ResolveConfig(settings.flash, [](const char* name) { return std::getenv(name); }, {});
      vram.ok() && vram->vram.named()) {
    const auto rooms =
        cli::DeviceRooms(vram->vram, cli::FindDevices(settings.engine.engine, settings.rest), settings.rest);
    if (!rooms.ok()) return cli::Fail(rooms.status());
  }
  if (!settings.workers.empty() && settings.rest.Has(cli::OptionId::kRemote))
    return cli::Fail("--workers and -- --rpc both name workers; leave one out", cli::kExitUsage);
  // Which of them are there is asked, and said, with each load.
  if (const Status workers = cli::CheckWorkers(settings.workers, settings.engine.engine); !workers.ok())
    return cli::Fail(workers);
  settings.engine_version = cli::QueryVersion(settings.engine.engine);
  settings.config_path = DefaultConfigPath();
  const Status status = RunServer(settings);
  if (status.ok()) return cli::kExitOk;
  return status.code() == Code::kIo ? cli::Fail(status.message(), cli::kExitFailure) : cli::Fail(status);
}

}  // namespace

void AddServeCommand(CLI::App& app, cli::CommandLine& line) {
  CLI::App* command =
      app.add_subcommand("serve", "Serve models to programs (OpenAI's API) and to a page in the browser");
  command->footer(kExamples);
  const auto options = std::make_shared<ServeOptions>();
  Settings& settings = options->settings;
  command->add_option("model", options->model, "GGUF file, or a name that `headrace list` shows: loaded at the start")
      ->type_name("MODEL");
  command
      ->add_option(
          "--models-dir", options->folders,
          "Offer the GGUF files of this folder; may be given several times (default: all that `headrace list` shows)")
      ->type_name("DIR")
      ->allow_extra_args(false);
  command
      ->add_option("--alias", options->aliases,
                   "Another name of a model, for programs that ask for a fixed one; may be given several times")
      ->type_name("NAME=MODEL")
      ->allow_extra_args(false);
  command->add_option("--host", settings.host, "Address to listen on; other than this machine's own needs --api-key")
      ->type_name("ADDRESS")
      ->capture_default_str();
  command->add_option("--port", settings.port, "Port to listen on; 0 takes any that is free")
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--api-key", settings.keys,
                   "Key that requests must bring; may be given several times (also HEADRACE_API_KEY)")
      ->type_name("KEY")
      ->envname("HEADRACE_API_KEY")
      ->allow_extra_args(false);
  command->add_option("--api-key-file", settings.key_file, "File of such keys, one a line; # begins a comment")
      ->type_name("FILE");
  command
      ->add_option("--access-log", settings.access_log,
                   "Write a line for each request to this file, or to standard output (-)")
      ->type_name("FILE|-");
  command->add_option("--log-format", options->log_format, "Of these lines (default: text)")
      ->type_name("text|json")
      ->check(CLI::IsMember({"text", "json"}));
  command->add_flag("--log-timestamps", options->log_times,
                    "Begin the server's own lines with the time on a terminal too");
  command
      ->add_option("--allow-origin", settings.origins,
                   "Let pages and extensions of this origin ask, for instance app://obsidian.md; may be repeated, * "
                   "lets all in")
      ->type_name("ORIGIN")
      ->allow_extra_args(false);
  command
      ->add_option("--allow-host", settings.hosts,
                   "Name under which a proxy or tunnel reaches this server; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->add_option("--prefix", settings.prefix, "Path that a proxy has for this server, for instance /llm")
      ->type_name("PATH");
  command
      ->add_option("--ttl", options->ttl,
                   "Unload a model after this time without requests, for instance 30m (default: never)")
      ->type_name("TIME");
  command
      ->add_option("--models-max", settings.models_max,
                   "Most models loaded at a time; the least recently used makes room")
      ->type_name("N")
      ->check(CLI::Range(size_t{1}, size_t{64}))
      ->capture_default_str();
  command
      ->add_option("--queue-max", settings.waiting.most,
                   "Most requests that wait for a model; others get 429 (0: nobody waits)")
      ->type_name("N")
      ->check(CLI::Range(size_t{0}, size_t{100'000}))
      ->capture_default_str();
  command
      ->add_option("--queue-timeout", options->queue_timeout,
                   "Longest that one waits before it gets 429 (default 30m; 0: as long as it takes)")
      ->type_name("TIME");
  command
      ->add_option("--answer-max", settings.answer_tokens,
                   "Longest answer to a request that names no limit, where requests share memory (default: half the "
                   "context; 0: all of it)")
      ->type_name("TOKENS")
      ->check(CLI::Range(int64_t{0}, int64_t{INT32_MAX}));
  command
      ->add_option(
          "--evict-after", options->evict_after,
          "Break off the answers of a model whose memory another one waits for, after this time (default 5m; 0: never)")
      ->type_name("TIME");
  command->add_option("--max-body", options->max_body, "Largest request (default 64M)")->type_name("SIZE");
  command
      ->add_option("--prompt-cache-dir", settings.prompt_folder,
                   "Folder where prompts that were read outlive a model's process")
      ->type_name("DIR");
  command
      ->add_option("--prompt-cache-max", options->prompt_bytes,
                   "Most that they may take there; the oldest go (default 2G)")
      ->type_name("SIZE");
  command->add_flag("--no-modelfile", settings.no_modelfile,
                    "Leave the Modelfiles beside models out (docs/modelfile.md)");
  cli::AddFlashOptions(*command, settings.flash);
  cli::AddWorkersOption(*command, settings.workers);
  cli::AddEngineOption(*command, options->engine);
  cli::ShowFirst(*command, {"models-dir", "ram", "vram", "host", "port", "api-key"});
  command->callback([options, &line] { line.action = [options, &line] { return Serve(*options, line); }; });
}

}  // namespace headrace::serve
