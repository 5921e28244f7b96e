// What `headrace plan` says about a model, a budget and a machine: for people and as JSON. Pure.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "learned/machine_profile.h"
#include "learned/mirror_speeds.h"
#include "plan/prediction.h"
#include "plan/residency.h"
#include "setup/model_setup.h"
#include "setup/speculation_report.h"

namespace headrace::cli {

struct PlanReport {
  ModelSetup model;
  ResidencyPlan plan;                   // everything resident when the model does not stream
  uint64_t smallest_budget_bytes = 0;   // FloorBytes
  std::optional<ProfileEntry> machine;  // none when it could not be measured
  std::vector<DriveSpeed> drives;       // whose sum is the machine's disk, if there are mirrors
  Prediction prediction;
  uint64_t prompt_tokens = 0;
  std::string context_tokens;                    // as asked for
  ExpertHabits experts;                          // what the prediction goes by
  std::optional<SpeculationReport> speculation;  // none: nothing is said about it
};

// Errors: kOutOfBudget of the planner.
Result<PlanReport> MakePlanReport(ModelSetup model, const std::optional<ProfileEntry>& machine, uint64_t prompt_tokens,
                                  const std::string& context_tokens = "", const ExpertHabits& experts = {});

std::string RenderPlanText(const PlanReport& report);
// Sizes in bytes, speeds per second; unknown numbers are null. The keys are stable.
nlohmann::json PlanJson(const PlanReport& report);
std::string RenderPlanJson(const PlanReport& report);
// Its part about the model and its memory, which is known too when the memory is too little to plan with.
nlohmann::json SetupJson(const ModelSetup& model);

}  // namespace headrace::cli
