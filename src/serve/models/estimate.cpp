#include "serve/models/estimate.h"

#include "learned/machine_profile.h"
#include "learned/mirror_speeds.h"
#include "serve/models/load_speculation.h"
#include "serve/models/model_json.h"
#include "serve/models/remedies.h"
#include "setup/plan_report.h"

namespace headrace::serve {

Result<Json> EstimateJson(const Settings& settings, const ModelManager::Preview& preview, uint64_t prompt_tokens) {
  const LoadPlan& plan = preview.plan;
  const cli::ModelSetup& setup = plan.setup;
  // Without streaming a model that does not fit can be tried: llama.cpp then reads its pages again and again.
  const bool overfull =
      !setup.streams() && setup.limits.process_bytes > 0 && setup.memory.everything_bytes > setup.limits.process_bytes;
  Json json;
  if (plan.enough.ok()) {
    auto machine = cli::MachineProfileFor(setup.path, settings.engine_version);
    if (machine.ok()) {
      machine->disk_bytes_per_s =
          cli::MachineSpeeds(setup.path, setup.config.mirrors, settings.engine_version).disk_bytes_per_s;
    }
    auto report =
        cli::MakePlanReport(setup, machine.ok() ? std::optional(*machine) : std::nullopt, prompt_tokens,
                            std::to_string(plan.context), cli::LoadLearned(LearnedPlaceOf(settings, plan)).experts);
    if (!report.ok()) return report.status();
    if (plan.speculation) {
      auto speculation = cli::MakeSpeculationReport(SpeculationOptionsOf(plan), SpeculationInputOf(settings, plan));
      if (!speculation.ok()) return speculation.status();
      report->speculation = std::move(*speculation);
    }
    json = cli::PlanJson(*report);
  } else {
    json = cli::SetupJson(setup);
  }
  json["id"] = plan.entry.id;
  json["fits"] = plan.enough.ok() && !overfull;
  json["verdict"] = !json["fits"] ? "too_small" : setup.streams() ? "streams" : "fits";
  json["reason"] = nullptr;
  json["remedies"] = Json::array();
  if (!plan.placed.ok()) {
    json["reason"] = plan.placed.message();
    json["remedies"] = VramRemediesJson(setup);
  } else if (setup.shortage) {
    json["reason"] = setup.shortage->arithmetic;
    json["remedies"] = RemediesJson(setup.shortage->remedies);
  } else if (!plan.enough.ok()) {
    json["reason"] = plan.enough.message();
  } else if (overfull) {
    json["reason"] = json["decision"];
    json["remedies"].push_back({{"flash_mode", "auto"}});
  }
  json["devices_problem"] = plan.placed.ok() ? Json() : json["reason"];
  json["makes_room"] = preview.makes_room;
  json["context_length"] = plan.context;
  json["sharing"] = SharingJson(plan);
  json["modelfile"] = ModelfileJson(plan.defaults);
  return json;
}

Result<ModelConfig> ConfigFromQuery(const Request& request, const ModelConfig& base) {
  Json object = Json::object();
  for (const auto& [name, text] : request.query) {
    const auto value = ParseJson(text);
    object[name] = value.ok() && !value->is_string() && !value->is_structured() ? *value : Json(text);
  }
  return ParseModelConfig(object, base, {"model", "prompt_tokens"});
}

}  // namespace headrace::serve
