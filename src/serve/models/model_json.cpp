#include "serve/models/model_json.h"

#include <algorithm>

#include "base/size.h"
#include "models/file_names.h"
#include "setup/plan_report.h"

namespace headrace::serve {
namespace {

Json TextOrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json GbOrNull(uint64_t bytes) {
  return bytes == 0 ? Json() : Json(static_cast<double>(bytes) / static_cast<double>(kGiB));
}

Json VramJson(const cli::VramLimit& limit) {
  if (limit.named()) return static_cast<double>(limit.bytes) / static_cast<double>(kGiB);
  return limit.mode == cli::VramLimit::Mode::kOff ? "off" : "auto";
}

// One that failed to load and was not loaded since is only unloaded to those who do not ask why.
const char* StateOf(const ModelEntry& entry, const Model* model) {
  if (model != nullptr) return ToString(model->state());
  return entry.error.empty() ? ToString(ModelState::kGone) : "invalid";
}

// As it is loaded, or would be.
bool SeesImages(const ModelEntry& entry, const Model* model, const Result<ModelConfig>& remembered) {
  if (model != nullptr) return !model->plan().projector_path.empty();
  if (remembered.ok() && remembered->projector) return !remembered->projector->empty();
  return !entry.projector.empty();
}

}  // namespace

Json EntryJson(const ModelEntry& entry) {
  return {{"id", entry.id},
          {"path", NameAsText(entry.path)},
          {"files", entry.files},
          {"size_bytes", entry.size_bytes},
          {"kind", ToString(entry.kind)},
          {"architecture", TextOrNull(entry.architecture)},
          {"name", TextOrNull(entry.name)},
          {"parameters", entry.parameters},
          {"quantization", TextOrNull(entry.quantization)},
          {"context_length", entry.context_length == 0 ? Json() : Json(entry.context_length)}};
}

Json ModelfileJson(const ModelDefaults& defaults) {
  if (defaults.path.empty()) return nullptr;
  return {{"path", defaults.path}, {"applied", defaults.applied}, {"notes", defaults.notes}};
}

Json SharingJson(const LoadPlan& plan) {
  const Sharing& sharing = plan.sharing;
  const auto number = [](uint64_t value) { return value == 0 ? Json() : Json(value); };
  if (sharing.slots == 0 && sharing.batch_tokens == 0) return nullptr;
  return {{"slots", number(sharing.slots)},
          {"request_tokens", plan.context},
          {"pool_tokens", number(sharing.pool_tokens)},
          {"batch_tokens", number(sharing.batch_tokens)}};
}

Json InForceJson(const Model& model) {
  const LoadPlan& plan = model.plan();
  const cli::MemoryBudget& memory = plan.memory();
  const cli::MemoryLimits& limits = plan.setup.limits;
  Json json;
  json["configuration"] = {
      {"flash_mode", ToString(limits.flash_mode)},
      {"ram_gb", GbOrNull(limits.process_bytes)},
      {"flash_ram_gb", GbOrNull(memory.streams ? memory.weights_budget_bytes : limits.weights_bytes)},
      {"vram_gb", VramJson(plan.setup.vram)},
      {"flash_debug", plan.config.debug},
      {"context_length", model.context == 0 ? plan.context : model.context},
      {"kv_cache_type", plan.asked.kv_cache_type.value_or("f16")},
      {"draft_model", plan.draft_path.empty() ? Json() : Json(*plan.asked.draft_model)},
      {"projector", TextOrNull(plan.projector_path)},
      {"embedding", plan.embedding},
      {"slots", model.slots == 0 ? Json() : Json(model.slots)}};
  json["modelfile"] = ModelfileJson(plan.defaults);
  json["sharing"] = SharingJson(plan);
  json["speculation"] = nullptr;
  if (const auto& chosen = plan.speculation) {
    json["speculation"] = {
        {"kind", cli::ToString(chosen->kind)}, {"draft_tokens", chosen->draft_tokens}, {"reason", chosen->line}};
  }
  const auto statistics = model.ReadStatistics().value_or(cli::Statistics());
  const Json setup = cli::SetupJson(plan.setup);
  json["decision"] = {{"streams", statistics.streamed()},
                      {"reason", cli::DescribeDecision(memory, limits)},
                      {"memory", setup["memory"]},
                      {"devices", setup["devices"]},
                      {"devices_reason", setup["devices_decision"]},
                      {"on_devices", plan.memory().loads_only || statistics.on_devices()},
                      {"managed_bytes", statistics.weight_bytes},
                      {"resident_bytes", statistics.resident_bytes},
                      {"streamed_bytes_per_pass", statistics.streamed_bytes_per_pass},
                      {"expert_cache_bytes", statistics.expert_cache_bytes}};
  return json;
}

Json ModelJson(const ModelEntry& entry, const Model* model, const std::string& last_error,
               const Result<ModelConfig>& remembered) {
  Json json = EntryJson(entry);
  json["state"] = StateOf(entry, model);
  json["sees_images"] = SeesImages(entry, model, remembered);
  json["error"] = TextOrNull(!entry.error.empty()                          ? entry.error
                             : model != nullptr && !model->error().empty() ? model->error()
                                                                           : last_error);
  json["remembered"] = remembered.ok() ? ToJson(*remembered) : Json();
  json["loaded"] = nullptr;
  if (model == nullptr || model->state() == ModelState::kLoading) return json;
  json["loaded"] = InForceJson(*model);
  json["loaded"]["requests"] = model->requests();
  json["loaded"]["requests_waiting"] = model->admission().waiting();
  json["loaded"]["requests_total"] = model->requests_in_all();
  json["loaded"]["restarts"] = model->restarts;
  json["loaded"]["load_s"] = model->load_seconds;
  json["loaded"]["idle_s"] =
      model->requests() > 0 ? 0 : std::chrono::duration<double>(Clock::now() - model->last_used()).count();
  return json;
}

Json ProgressJson(const std::string& id, const Model* model) {
  Json json = {{"model", id}, {"phase", "waiting"}, {"done_bytes", 0}, {"total_bytes", nullptr}};
  if (model == nullptr || model->state() != ModelState::kLoading) return json;
  const auto statistics = model->ReadStatistics();
  const bool reads = statistics && statistics->resident_target_bytes > 0;
  json["phase"] = reads ? "reading" : "starting";
  if (reads) {
    json["done_bytes"] = std::min(statistics->resident_bytes, statistics->resident_target_bytes);
    json["total_bytes"] = statistics->resident_target_bytes;
  }
  return json;
}

Json OpenAiModelJson(const ModelEntry& entry, const Model* model) {
  return {{"id", entry.id},
          {"object", "model"},
          {"created", entry.modified},
          {"owned_by", "headrace"},
          {"status", {{"value", StateOf(entry, model)}}},
          {"meta",
           {{"n_params", entry.parameters},
            {"size", entry.size_bytes},
            {"n_ctx_train", entry.context_length},
            {"ftype", entry.quantization}}}};
}

}  // namespace headrace::serve
