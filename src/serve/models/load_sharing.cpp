#include "serve/models/load_sharing.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "learned/mirror_speeds.h"
#include "plan/prompt_batch.h"
#include "plan/slots.h"
#include "serve/models/load_command.h"
#include "serve/models/load_memory.h"
#include "serve/models/load_speculation.h"
#include "setup/model_cost.h"

namespace headrace::serve {
namespace {

// How its requests share passes, where it streams and generates.
void ChooseSharing(const Settings& settings, Simulations& simulations, LoadPlan& plan) {
  if (!plan.must_stream() || plan.embedding || plan.entry.kind == ModelKind::kReranker) return;
  if (!settings.known.Has("-kvu")) return;
  plan.sharing = LeastSharing(plan.context, plan.asked.slots, settings.rest);
  if (plan.sharing.batch_tokens == 0)
    plan.sharing.batch_tokens = cli::EngineArguments(plan.defaults.options).Number(cli::OptionId::kBatch);
  if (!plan.enough.ok()) {
    // Narrow batches want less memory.
    if (plan.sharing.slots != 1 && plan.sharing.batch_tokens == 0) plan.sharing.batch_tokens = kNarrowestPiece;
    const Status settled = SettleMemory(settings, simulations, plan);
    if (!settled.ok()) plan.enough = settled;
    return;
  }
  const LoadPlan least = plan;
  const auto arguments = CommandForMemory(settings, plan);
  if (!arguments.ok()) return;
  auto& simulation = simulations.Get(settings.engine.engine, plan.entry, *arguments);
  if (!simulation.ok()) return;
  const auto cost = cli::PassCostOf(
      plan.setup, cli::MachineSpeeds(plan.entry.path, plan.setup.config.mirrors, settings.engine_version),
      cli::LoadLearned(LearnedPlaceOf(settings, plan)));
  plan.sharing =
      BestSharing(least.sharing, plan.context, plan.asked.slots, settings.rest, plan.setup, *simulation, cost);
  const Status settled = SettleMemory(settings, simulations, plan);
  // What fits as a whole only with narrow batches is left as it was.
  if (!settled.ok() || !plan.enough.ok() || !plan.must_stream()) plan = least;
  if (least.sharing.batch_tokens == 0) plan.setup.prompt_width = plan.sharing.batch_tokens;
}

}  // namespace

uint64_t LongestInput(const Settings& settings, const LoadPlan& plan) {
  // 0 is as much as the model knows.
  const auto asked = settings.rest.Value(cli::OptionId::kContext);
  const uint64_t context = asked ? std::strtoull(asked->c_str(), nullptr, 10) : plan.context;
  uint64_t tokens = context > 0 ? context : plan.entry.context_length;
  const uint64_t widths[] = {settings.rest.Number(cli::OptionId::kBatch), settings.rest.Number(cli::OptionId::kUbatch)};
  for (const uint64_t width : widths) {
    if (width > 0) tokens = std::min(tokens, width);
  }
  return tokens;
}

Status SettleInputs(const Settings& settings, Simulations& simulations, LoadPlan& plan) {
  const uint64_t longest = plan.input_tokens;
  if (longest == 0) return {};
  while (!plan.enough.ok() && plan.input_tokens > kUsualPromptBatch) {
    plan.input_tokens = std::max(plan.input_tokens / 2, kUsualPromptBatch);
    HEADRACE_RETURN_IF_ERROR(SettleMemory(settings, simulations, plan));
  }
  if (!plan.enough.ok()) return {};
  if (plan.input_tokens < longest) {
    plan.notes.push_back(
        fmt::format("an input of embeddings or a reranking may have {} tokens, not all {} of the context: longer ones "
                    "want wider passes, and those more memory",
                    plan.input_tokens, longest));
  }
  const bool asked = plan.asked.slots || settings.rest.Number(cli::OptionId::kSlots) > 0;
  if (!plan.must_stream() || asked || !settings.known.Has("-kvu")) return {};
  const LoadPlan few = plan;
  plan.sharing.slots = kMostSlots;
  const Status settled = SettleMemory(settings, simulations, plan);
  if (!settled.ok() || !plan.enough.ok() || !plan.must_stream()) plan = few;
  return {};
}

Status SettleSharing(const Settings& settings, Simulations& simulations, const MemoryRoom& room,
                     const DeviceLimit& limit, LoadPlan& plan) {
  const LoadPlan alone = plan;
  ChooseSharing(settings, simulations, plan);
  if (plan.device_options.empty() || plan.sharing.pool_tokens == alone.sharing.pool_tokens) return {};
  Status settled = SettleDevices(settings, simulations, room, limit, plan);
  if (settled.ok()) settled = plan.placed;
  if (settled.ok()) settled = SettleMemory(settings, simulations, plan);
  const uint64_t before = alone.setup.weights.device_bytes;
  if (!settled.ok() || !plan.enough.ok() || plan.setup.weights.device_bytes < before - before / 4) plan = alone;
  return {};
}

}  // namespace headrace::serve
