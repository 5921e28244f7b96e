#include "serve/models/load_memory.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "base/size.h"
#include "engine/file_arguments.h"
#include "serve/models/load_command.h"
#include "serve/models/remedies.h"

namespace headrace::serve {
namespace {

// Where a model streams, weights have the rest.
constexpr uint64_t kCheckpointShare = 16;

}  // namespace

Status SettleMemory(const Settings& settings, Simulations& simulations, LoadPlan& plan) {
  const auto arguments = CommandForMemory(settings, plan);
  if (!arguments.ok()) return arguments.status();
  HEADRACE_RETURN_IF_ERROR(cli::CheckFileArguments(*arguments));
  auto& simulation = simulations.Get(settings.engine.engine, plan.entry, *arguments);
  if (!simulation.ok())
    LogWarning(fmt::format("{}: what the engine will allocate is not foretold, only measured: {}", plan.entry.id,
                           simulation.status().message()));
  const Status enough = cli::SettleMemory(simulation, *arguments, plan.setup);
  plan.enough = plan.setup.shortage ? Status(enough.code(), ShortageText(*plan.setup.shortage)) : enough;
  return {};
}

Status SettleCheckpoints(const Settings& settings, Simulations& simulations, LoadPlan& plan) {
  if (plan.embedding || plan.entry.kind == ModelKind::kReranker || !plan.enough.ok() ||
      settings.rest.Value(cli::OptionId::kCheckpoints))
    return {};
  const auto without = CommandForMemory(settings, plan);
  if (!without.ok()) return without.status();
  auto& simulation = simulations.Get(settings.engine.engine, plan.entry, *without);
  const auto state = simulation.ok() ? simulation->StateBytes() : Result<uint64_t>(simulation.status());
  if (!state.ok()) return {};  // then none are kept
  const uint64_t each = *state * simulation->slots(), limit = plan.setup.limits.process_bytes;
  uint64_t room = limit == 0 ? UINT64_MAX : limit - std::min(limit, plan.memory().everything_bytes);
  if (limit > 0 && plan.must_stream())
    room = std::min(limit / kCheckpointShare, limit - std::min(limit, plan.memory().least_bytes));
  plan.checkpoints = each == 0 ? cli::kServerCheckpoints : std::min(cli::kServerCheckpoints, room / each);
  if (plan.checkpoints < cli::kServerCheckpoints) {
    plan.notes.push_back(
        fmt::format("--ctx-checkpoints {} instead of llama-server's own {}: one for each of {} requests at a time "
                    "takes {} of the memory; a prompt "
                    "that goes back further is read anew; the option after -- sets another number",
                    plan.checkpoints, cli::kServerCheckpoints, simulation->slots(), FormatSize(each)));
  }
  if (each == 0 || plan.checkpoints == 0) return {};
  const auto with = CommandForMemory(settings, plan);
  if (!with.ok()) return with.status();
  simulation->SetArguments(*with);
  const Status enough = cli::SettleMemory(simulation, *with, plan.setup);
  if (simulation.ok()) simulation->SetArguments(*without);
  plan.enough = plan.setup.shortage ? Status(enough.code(), ShortageText(*plan.setup.shortage)) : enough;
  return {};
}

uint64_t GrantedBytes(const cli::ModelSetup& setup) {
  uint64_t weights = setup.memory.weights_budget_bytes;
  if (setup.streams()) {
    const auto plan = setup.Plan();
    if (plan.ok()) weights = std::min(weights, setup.memory.weight_bytes + plan->ring_bytes + plan->scratch_bytes);
  }
  return setup.memory.rest_bytes() + weights;
}

}  // namespace headrace::serve
