#include "serve/models/sharing.h"

#include <algorithm>

#include "plan/prompt_batch.h"
#include "plan/slots.h"
#include "setup/model_cost.h"

namespace headrace::serve {
namespace {

// Tokens of the simulations that find out what one costs: their sizes are whole MiB.
constexpr uint64_t kSimulatedTokens = 16384;

uint64_t AskedPool(const cli::EngineArguments& rest) { return rest.Number(cli::OptionId::kContext); }
uint64_t AskedSlots(std::optional<uint64_t> slots, const cli::EngineArguments& rest) {
  const uint64_t number = rest.Number(cli::OptionId::kSlots);
  return number > 0 ? number : slots.value_or(0);
}

// What the user's own options make of a pass's width, 0 where they say nothing: the engine takes the smaller one.
uint64_t AskedBatch(const cli::EngineArguments& rest) {
  const uint64_t batch = rest.Number(cli::OptionId::kBatch), microbatch = rest.Number(cli::OptionId::kUbatch);
  if (batch == 0 && microbatch == 0) return 0;
  return std::min(batch > 0 ? batch : kServersBatch, microbatch > 0 ? microbatch : kUsualPromptBatch);
}

// Nullopt when the engine does not say.
std::optional<SlotCosts> AskCosts(cli::EngineSimulation& simulation) {
  const auto context_bytes = [&](uint64_t tokens, uint64_t slots) -> std::optional<uint64_t> {
    const auto memory = simulation.Run(cli::EngineArguments({WithValue(cli::OptionId::kContext, std::to_string(tokens)),
                                                             WithValue(cli::OptionId::kSlots, std::to_string(slots))}));
    return memory.ok() ? std::optional(memory->context_bytes) : std::nullopt;
  };
  const auto base = context_bytes(kSimulatedTokens, kLeastSlots);
  const auto longer = context_bytes(2 * kSimulatedTokens, kLeastSlots);
  const auto more = context_bytes(kSimulatedTokens, kMostSlots);
  if (!base || !longer || !more) return std::nullopt;
  return SlotCosts{(*more - std::min(*more, *base)) / (kMostSlots - kLeastSlots),
                   (*longer - std::min(*longer, *base)) / kSimulatedTokens};
}

}  // namespace

uint64_t SlotsOf(const Sharing& sharing, std::optional<uint64_t> slots, const cli::EngineArguments& rest) {
  const uint64_t asked = AskedSlots(slots, rest);
  return asked > 0 ? asked : sharing.slots > 0 ? sharing.slots : cli::kServerSlots;
}

Sharing LeastSharing(uint64_t context, std::optional<uint64_t> slots, const cli::EngineArguments& rest) {
  Sharing least;
  least.batch_tokens = AskedBatch(rest);
  // Slots with memory of their own cannot take it from each other.
  if (!rest.SharesCache().value_or(true)) return least;
  const uint64_t asked = AskedSlots(slots, rest), pool = AskedPool(rest);
  least.slots = asked > 0 ? asked : kLeastSlots;
  least.pool_tokens = pool > 0 ? pool : context;
  return least;
}

Sharing BestSharing(const Sharing& least, uint64_t context, std::optional<uint64_t> slots,
                    const cli::EngineArguments& rest, const cli::ModelSetup& model, cli::EngineSimulation& simulation,
                    const Result<PassCost>& cost) {
  Sharing best = least;
  const auto choose_width = [&] {
    if (!cost.ok() || !(cost->Seconds(1) > 0) || least.batch_tokens > 0) return best;
    const PromptPasses passes = best.slots == 1 ? PromptPasses::kAlone : PromptPasses::kShared;
    best.batch_tokens = cli::ChoosePromptWidth(model, *cost, rest, passes, 0, &simulation).value_or(0);
    return best;
  };
  // A KV cache in a file is bounded by what the user gave it.
  const bool in_file = model.memory.engine && model.memory.engine->context_file_bytes > 0;
  const auto costs = least.pool_tokens > 0 && AskedPool(rest) == 0 && !in_file ? AskCosts(simulation) : std::nullopt;
  if (!costs) return choose_width();
  const uint64_t all = model.memory.weight_bytes, asked = AskedSlots(slots, rest);
  const SlotPlan plan = PlanSlots(context, all - std::min(all, model.memory.weights_budget_bytes), *costs, asked);
  best.slots = asked > 0 || !cost.ok() ? plan.slots : SlotsThatPay(*cost, plan.slots);
  best.pool_tokens = best.slots == plan.slots ? plan.pool_tokens : least.pool_tokens;
  return choose_width();
}

}  // namespace headrace::serve
