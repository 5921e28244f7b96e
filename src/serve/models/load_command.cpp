#include "serve/models/load_command.h"

#include "engine/engine_command_line.h"
#include "llama_server/engine_name.h"
#include "serve/models/prompt_files.h"

namespace headrace::serve {
namespace {

Result<cli::EngineArguments> ServerCommand(const Settings& settings, const LoadPlan& plan,
                                           const std::string& socket_path) {
  cli::ServerArguments server;
  server.model = plan.entry.path;
  server.socket = socket_path;
  server.alias = EngineName(plan.entry.id);
  server.context = plan.context;
  server.slots = plan.asked.slots;
  server.chosen_slots = plan.asked.slots ? 0 : plan.sharing.slots;
  server.pool_tokens = plan.sharing.pool_tokens;
  server.batch_tokens = plan.sharing.batch_tokens;
  if (plan.speculation) {
    // How long the user's own drafts are is not known.
    const bool own = plan.speculation->kind == cli::SpeculationKind::kUser;
    server.judged_tokens =
        own ? kServersBatch
            : SlotsOf(plan.sharing, plan.asked.slots, settings.rest) * (1 + plan.speculation->draft_tokens);
  }
  server.checkpoints = plan.checkpoints;
  server.kv_cache_type = plan.asked.kv_cache_type;
  if (!plan.speculation || plan.speculation->kind == cli::SpeculationKind::kUser) server.draft_model = plan.draft_path;
  if (plan.speculation) server.speculation = plan.speculation->options;
  server.projector = plan.projector_path;
  server.embedding = plan.embedding;
  server.has_pooling = plan.entry.has_pooling;
  server.reranking = plan.entry.kind == ModelKind::kReranker;
  server.input_tokens = plan.input_tokens;
  server.streams = plan.must_stream();
  server.debug = plan.config.debug;
  server.defaults = plan.defaults.options;
  server.defaults.insert(server.defaults.end(), plan.device_options.begin(), plan.device_options.end());
  // llama-server does not start without the folder.
  if (!settings.prompt_folder.empty() && PromptFiles(settings.prompt_folder, 0).Prepare().ok())
    server.slot_folder = settings.prompt_folder;
  server.rest = cli::Joined(plan.workers, settings.rest);
  return cli::BuildServerArguments(server, settings.known);
}

}  // namespace

Result<cli::EngineArguments> CommandForMemory(const Settings& settings, const LoadPlan& plan) {
  auto arguments = ServerCommand(settings, plan, "");
  return arguments.ok() ? cli::ServerMemoryArguments(std::move(*arguments)) : arguments;
}

Result<LoneServerSpec> MakeServerSpec(const Settings& settings, const LoadPlan& plan, const std::string& socket_path) {
  auto arguments = ServerCommand(settings, plan, socket_path);
  if (!arguments.ok()) return arguments.status();
  LoneServerSpec spec;
  spec.label = plan.entry.id;
  spec.program = settings.engine.program;
  spec.arguments = arguments->words();
  spec.library = settings.engine.library;
  spec.config = plan.config;
  return spec;
}

}  // namespace headrace::serve
