#include "serve/models/load_speculation.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "engine/draft_head.h"
#include "learned/machine_profile.h"
#include "learned/mirror_speeds.h"
#include "serve/models/load_memory.h"
#include "setup/learned_place.h"

namespace headrace::serve {
namespace {

// Where the model's own head promises more than what was chosen without it, the plan is one with the head.
void PreferHead(const Settings& settings, Simulations& simulations, LoadPlan& plan) {
  LoadPlan with = plan;
  with.uses_head = true;
  with.speculation->options = cli::HeadOptions(0);  // so that its memory counts
  const Status settled = SettleMemory(settings, simulations, with);
  if (settled.ok() && with.enough.ok() && HeadFits(with.setup)) {
    auto chosen = cli::ChooseSpeculation(SpeculationOptionsOf(with), SpeculationInputOf(settings, with));
    if (chosen.ok() && HeadPays(SpeculationOptionsOf(plan), *chosen, *plan.speculation)) {
      with.setup.memory.least_bytes = plan.setup.memory.least_bytes;
      with.setup.memory.everything_bytes = plan.setup.memory.everything_bytes;
      with.speculation = std::move(*chosen);
      plan = std::move(with);
    }
  }
}

}  // namespace

Status SettleSpeculation(const Settings& settings, Simulations& simulations, LoadPlan& plan) {
  if (plan.embedding || plan.entry.kind == ModelKind::kReranker) return {};
  const cli::SpeculationOptions options = SpeculationOptionsOf(plan);
  cli::SpeculationInput input = SpeculationInputOf(settings, plan);
  const bool may_use_head = plan.enough.ok() && MayUseHead(options, settings.rest, plan.setup, &settings.engine.engine,
                                                           settings.known, input.why_no_head);
  auto chosen = cli::ChooseSpeculation(options, input);
  if (!chosen.ok()) return chosen.status();
  plan.speculation = std::move(*chosen);
  if (may_use_head) PreferHead(settings, simulations, plan);
  LogDebug(fmt::format("{}: {}", plan.entry.id, plan.speculation->line));
  const bool user = plan.speculation->kind == cli::SpeculationKind::kUser;
  plan.drafts = plan.speculation->kind != cli::SpeculationKind::kNone &&
                !(user && settings.rest.Value(cli::OptionId::kSpeculation) == "none");
  return {};
}

cli::LearnedPlace LearnedPlaceOf(const Settings& settings, const LoadPlan& plan) {
  cli::LearnedPlace place = cli::LearnedPlaceOf(plan.setup, plan.draft_path, settings.engine_version);
  place.head = plan.uses_head;
  return place;
}

cli::SpeculationOptions SpeculationOptionsOf(const LoadPlan& plan) {
  return {plan.draft_path, plan.asked.speculate.value_or(""), plan.asked.draft_tokens.value_or(0)};
}

cli::SpeculationInput SpeculationInputOf(const Settings& settings, const LoadPlan& plan) {
  const MachineProfile machine =
      plan.must_stream() ? cli::MachineSpeeds(plan.entry.path, plan.setup.config.mirrors, settings.engine_version)
                         : MachineProfile();
  cli::SpeculationInput input{
      plan.setup, machine,        settings.known, settings.rest, cli::LoadLearned(LearnedPlaceOf(settings, plan)),
      1,          plan.draft_type};
  // As many requests at a time as there were before. While nobody knows, a draft model that was asked for is used as
  // for one; what is proposed unasked must cost nothing however many there are.
  const uint64_t slots = SlotsOf(plan.sharing, plan.asked.slots, settings.rest),
                 unknown = plan.draft_path.empty() ? slots : 1;
  input.sequences = std::min(input.learned.sequences > 0 ? input.learned.sequences : unknown, slots);
  input.most_draft_tokens = cli::MostDraftTokens(settings.rest, plan.defaults.options, slots);
  input.head = plan.uses_head;
  return input;
}

}  // namespace headrace::serve
