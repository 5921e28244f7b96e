#include "client/server_commands.h"

#include <chrono>
#include <memory>
#include <thread>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/say.h"
#include "base/size.h"
#include "client/server_client.h"
#include "client/server_options.h"
#include "client/server_report.h"
#include "process/stop_signals.h"
#include "report/exit_status.h"
#include "report/output.h"
#include "report/progress_line.h"
#include "report/time_text.h"

namespace headrace::client {
namespace {

constexpr const char* kPsExamples = R"(
Examples:
  headrace ps                      the models that the server on this machine has loaded
  headrace ps --server box:8080    those of another machine; HEADRACE_SERVER does the same
  headrace ps --json               for programs: docs/server.md, GET /api/v1/models

MEMORY is the most that the model's process will use. RESIDENT is the size of the weights that stay in memory, PER PASS the
size of the weights that each pass reads from the disk.
)";

constexpr const char* kLoadExamples = R"(
Examples:
  headrace load qwen3:30b                    loads it with the memory that the server has for it
  headrace load qwen3:30b --ram 12G          with 12 GiB for the whole process
  headrace load qwen3:30b --flash-mode on -c 8192
  headrace load qwen3:30b --once --ram 8G    does not remember the options for the next load

If the model is already loaded with other options, the server lets its requests finish and loads it again.
)";

constexpr const char* kUnloadExamples = R"(
Examples:
  headrace unload qwen3:30b            once its requests have finished
  headrace unload qwen3:30b --force    at once; its requests end with an error
)";

constexpr const char* kStopExamples = R"(
Examples:
  headrace stop          the server ends once its requests have finished
  headrace stop --now    at once

If systemd started the server, stop it with systemctl --user stop headrace.
)";

std::string Dumped(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

// With a client for the server that is meant; a signal ends the request.
template <typename F>
int WithServer(const ServerOptions& options, F&& act) {
  auto address = AddressOf(options);
  if (!address.ok()) return cli::Fail(address.status());
  ServerClient client(std::move(*address));
  const cli::StopSignals signals;
  client.go_on = [] { return cli::StopSignals::last() == 0; };
  const Status status = act(client);
  if (const int signal = cli::StopSignals::last(); signal != 0) return cli::kExitSignal + signal;
  return status.ok() ? cli::kExitOk : cli::Fail(status);
}

struct PsOptions {
  ServerOptions server;
  bool json = false;
};

Status Ps(ServerClient& client, const PsOptions& options) {
  auto answer = client.Get("/api/v1/models");
  if (!answer.ok()) return answer.status();
  if (options.json) {
    (*answer)["models"] = ModelsInMemory((*answer)["models"]);
    cli::WriteOutput(Dumped(*answer));
  } else {
    cli::WriteOutput(RenderServerModels(*answer));
  }
  return {};
}

struct LoadOptions {
  ServerOptions server;
  std::string model, flash_mode, ram, weights_ram, vram;
  uint64_t context = 0;
  bool once = false, json = false;
};

// Sizes as GiB, which the server takes. Errors: kInvalidArgument naming the option.
Result<Json> LoadBody(const LoadOptions& options) {
  Json body = {{"model", options.model}, {"stream", true}, {"remember", !options.once}};
  const auto add_size = [&](const char* key, const char* option, const std::string& text) {
    if (text.empty()) return Status();
    const auto bytes = ParseSize(text);
    if (!bytes.ok()) return Status(Code::kInvalidArgument, fmt::format("{}: {}", option, bytes.status().message()));
    body[key] = static_cast<double>(*bytes) / static_cast<double>(kGiB);
    return Status();
  };
  if (const Status ram = add_size("ram_gb", "--ram", options.ram); !ram.ok()) return ram;
  if (const Status weights = add_size("flash_ram_gb", "--weights-ram", options.weights_ram); !weights.ok())
    return weights;
  if (options.vram == "auto" || options.vram == "off") {
    body["vram_gb"] = options.vram;
  } else if (const Status vram = add_size("vram_gb", "--vram", options.vram); !vram.ok()) {
    return vram;
  }
  if (!options.flash_mode.empty()) body["flash_mode"] = options.flash_mode;
  if (options.context > 0) body["context_length"] = options.context;
  return body;
}

Status Load(ServerClient& client, const LoadOptions& options) {
  const auto body = LoadBody(options);
  if (!body.ok()) return body.status();
  cli::ProgressLine progress;
  Json loaded;
  Status failed;
  const Status asked = client.Stream("/api/v1/models/load", *body, [&](std::string_view data) {
    const Json event = JsonOrNull(data);
    if (FindMember(event, "error") != nullptr) {
      failed = RefusalOf(400, data);
    } else if (FindMember(event, "phase") != nullptr) {
      progress.Show(options.model + ": " + LoadProgressText(event));
    } else {
      loaded = event;
    }
    return true;
  });
  progress.Show("");
  if (!asked.ok()) return asked;
  if (!failed.ok()) return failed;
  if (!loaded.is_object()) return Status(Code::kIo, "the server's answer broke off; `headrace ps` shows the state");
  if (options.json) {
    cli::WriteOutput(Dumped(loaded));
    return {};
  }
  const Json* decision = FindMember(loaded, "decision");
  Say(fmt::format("{} is loaded, in {}: {}", TextOf(loaded, "model"), cli::TimeText(NumberOf(loaded, "load_s")),
                  decision == nullptr ? "" : TextOf(*decision, "reason")));
  if (const std::string error = TextOf(loaded, "remember_error"); !error.empty()) SayError("not remembered: " + error);
  return {};
}

struct UnloadOptions {
  ServerOptions server;
  std::string model;
  bool force = false, json = false;
};

Status Unload(ServerClient& client, const UnloadOptions& options) {
  cli::ProgressLine progress;
  progress.Show("waiting for the requests of " + options.model + " to finish");
  const auto answer = client.Post("/api/v1/models/unload", {{"model", options.model}, {"force", options.force}});
  progress.Show("");
  if (!answer.ok()) return answer.status();
  if (options.json) {
    cli::WriteOutput(Dumped(*answer));
  } else {
    Say(TextOf(*answer, "model") + (IsTrue(*answer, "was_loaded") ? " is unloaded" : " was not loaded"));
  }
  return {};
}

struct StopOptions {
  ServerOptions server;
  bool now = false, json = false;
};

Status Stop(ServerClient& client, const StopOptions& options) {
  const auto answer = client.Post("/api/v1/stop", {{"now", options.now}});
  if (!answer.ok()) return answer.status();
  cli::ProgressLine progress;
  progress.Show("waiting for the server's requests to finish; after Ctrl-C the server still ends");
  while (client.go_on() && client.Get("/health").ok()) std::this_thread::sleep_for(std::chrono::milliseconds(200));
  progress.Show("");
  if (!client.go_on()) return {};
  if (options.json) {
    cli::WriteOutput(Dumped(*answer));
  } else {
    Say("the server at " + client.address().url + " has ended");
  }
  return {};
}

template <typename Options, typename Act>
void Finish(CLI::App& command, cli::CommandLine& line, const std::shared_ptr<Options>& options, Act act) {
  command.add_flag("--json", options->json, "Machine-readable output");
  AddServerOptions(command, options->server);
  command.callback([options, act, &line] {
    line.action = [options, act] {
      return WithServer(options->server, [&](ServerClient& client) { return act(client, *options); });
    };
  });
}

void AddPs(CLI::App& app, cli::CommandLine& line) {
  CLI::App* command = app.add_subcommand("ps", "Show the models that a running server has loaded");
  command->footer(kPsExamples);
  Finish(*command, line, std::make_shared<PsOptions>(), Ps);
}

void AddLoad(CLI::App& app, cli::CommandLine& line) {
  CLI::App* command = app.add_subcommand("load", "Load a model on a running server");
  command->footer(kLoadExamples);
  const auto options = std::make_shared<LoadOptions>();
  command->add_option("model", options->model, "A model that the server knows (GET /v1/models lists them)")
      ->type_name("MODEL")
      ->required();
  command->add_option("--flash-mode", options->flash_mode, "auto, on or off: flash weight streaming")
      ->type_name("MODE");
  command->add_option("--ram", options->ram, "Limit of memory for the model's whole process")->type_name("SIZE");
  command->add_option("--weights-ram", options->weights_ram, "Limit of memory for its weights")->type_name("SIZE");
  command->add_option("--vram", options->vram, "Memory of graphics cards for it: SIZE, auto or off")->type_name("SIZE");
  command->add_option("-c,--ctx-size", options->context, "Context of one request in tokens: prompt and answer")
      ->type_name("TOKENS")
      ->check(CLI::PositiveNumber);
  command->add_flag("--once", options->once, "Do not remember these options for the model's next load");
  Finish(*command, line, options, Load);
}

void AddUnload(CLI::App& app, cli::CommandLine& line) {
  CLI::App* command = app.add_subcommand("unload", "Unload a model on a running server");
  command->footer(kUnloadExamples);
  const auto options = std::make_shared<UnloadOptions>();
  command->add_option("model", options->model, "A name that `headrace ps` shows")->type_name("MODEL")->required();
  command->add_flag("--force", options->force, "Do not wait for its requests");
  Finish(*command, line, options, Unload);
}

void AddStop(CLI::App& app, cli::CommandLine& line) {
  CLI::App* command = app.add_subcommand("stop", "End a running server");
  command->footer(kStopExamples);
  const auto options = std::make_shared<StopOptions>();
  command->add_flag("--now", options->now, "Do not wait for its requests");
  Finish(*command, line, options, Stop);
}

}  // namespace

void AddServerCommands(CLI::App& app, cli::CommandLine& line) {
  AddPs(app, line);
  AddLoad(app, line);
  AddUnload(app, line);
  AddStop(app, line);
}

}  // namespace headrace::client
