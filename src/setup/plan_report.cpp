#include "setup/plan_report.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/json.h"
#include "base/size.h"
#include "engine/draft_head.h"
#include "report/text_table.h"
#include "setup/device_choice.h"
#include "setup/model_cost.h"

namespace headrace::cli {
namespace {

std::string Percent(uint64_t part, uint64_t whole) {
  return fmt::format("{:.0f} %", whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string Parameters(uint64_t count) {
  const double value = static_cast<double>(count);
  return value >= 1e9 ? fmt::format("{:.1f} B", value / 1e9) : fmt::format("{:.1f} M", value / 1e6);
}

// Of the budget of weights, what there is to fill it with.
uint64_t WeightsHere(const MemoryBudget& memory) {
  return std::min(memory.weights_budget_bytes, memory.weight_bytes + (memory.loads_only ? kLoadingBytes : 0));
}

// The parts of the process.
std::string RenderProcess(const PlanReport& report) {
  using Align = TextTable::Align;
  const MemoryBudget& memory = report.model.memory;
  const EngineMemory& engine = *memory.engine;
  TextTable table({Align::kLeft, Align::kRight, Align::kLeft});
  const auto row = [&](const char* name, uint64_t bytes, const std::string& note) {
    if (bytes > 0) table.AddRow({name, FormatSize(bytes), note});
  };
  const std::string draft = engine.draft_weight_bytes > 0
                                ? fmt::format(", {} of a draft model among them", FormatSize(engine.draft_weight_bytes))
                                : "";
  const std::string head = report.model.weights.uses_head
                               ? fmt::format("; {} of both for the draft head", FormatSize(engine.draft_rest_bytes))
                               : "";
  const uint64_t weights = WeightsHere(memory);
  row("weights", weights,
      (!memory.streams                         ? "all of them"
       : memory.loads_only                     ? "those that stay here, and what goes to devices on its way"
       : weights < memory.weight_bytes         ? "of " + FormatSize(memory.weight_bytes) + ": see below"
       : weights < memory.weights_budget_bytes ? "all of them: see below"
                                               : "see below") +
          draft);
  row("KV cache", engine.context_bytes,
      (engine.context_file_bytes > 0 ? fmt::format("in memory; {} in a file", FormatSize(engine.context_file_bytes))
                                     : "and states") +
          (report.context_tokens.empty() ? "" : fmt::format(", for {} tokens", report.context_tokens)));
  row("buffers", engine.compute_bytes, "of the computation" + head);
  row("engine", engine.engine_bytes, "code, vocabulary, threads");
  row("projector", engine.projector_bytes, "its weights; what it computes with comes on top");
  row("adapters", engine.adapter_bytes, "LoRA adapters and control vectors");
  row("context checkpoints", engine.checkpoint_bytes, "of the server");
  row("prompt cache", engine.prompt_cache_bytes, "of the server");
  row("streaming", memory.streams ? kStreamingBytes : 0, "the library's code and threads");
  row("process", memory.peak_bytes(),
      weights < memory.weights_budget_bytes ? "the most that it may use" : "the most that it will use");
  row("least", memory.least_bytes, "that works, by streaming");
  row("everything", memory.everything_bytes + memory.device_weight_bytes, "with which nothing streams");
  return table.Render();
}

// A draft's weights leave less to them, which is not worth a number.
uint64_t RowBytes(const PlanReport& report) {
  return report.model.streams() ? report.model.weights.row_bytes(report.model.memory.weights_budget_bytes) : 0;
}

// Weights that are kept nowhere but on disk: neither in memory nor on devices.
uint64_t DiskBytes(const PlanReport& report) {
  const ModelSetup& model = report.model;
  const uint64_t weights = model.weights.managed_bytes + model.weights.expert_bytes;
  const uint64_t kept =
      report.plan.resident_bytes + std::min(report.plan.expert_cache_bytes, model.weights.expert_bytes);
  return model.streams() ? weights - std::min(weights, kept) : 0;
}

// What is on each device.
std::string RenderDevices(const PlanReport& report) {
  TextTable table({TextTable::Align::kLeft, TextTable::Align::kRight, TextTable::Align::kLeft});
  for (const DeviceMemory& used : report.model.memory.engine->devices) {
    table.AddRow({DeviceTitle(report.model.devices, used.name), FormatSize(used.total_bytes()),
                  fmt::format("weights {}, KV cache {}, buffers {}", FormatSize(used.weight_bytes),
                              FormatSize(used.context_bytes), FormatSize(used.compute_bytes))});
  }
  return table.Render();
}

bool HasDevices(const PlanReport& report) {
  return report.model.memory.engine && !report.model.memory.engine->devices.empty();
}

// With devices that compute it only the disk's part.
bool KnowsPrompt(const PlanReport& report) {
  if (HasDevices(report)) return report.machine && report.prediction.prompt_tokens_per_s > 0;
  return report.machine && report.machine->prompt_flops_per_s > 0;
}

const char* DecodeNote(const PlanReport& report) {
  if (report.model.memory.loads_only) return "all layers are computed on devices; `headrace bench` measures it";
  if (report.prediction.disk_bound && report.model.weights.expert_bytes > 0) {
    return report.experts.learned
               ? "if experts are as popular as in earlier runs"
               : "if experts are as popular as a small trained mixture's were: until runs have shown it";
  }
  return nullptr;
}

}  // namespace

Result<PlanReport> MakePlanReport(ModelSetup model, const std::optional<ProfileEntry>& machine, uint64_t prompt_tokens,
                                  const std::string& context_tokens, const ExpertHabits& experts) {
  PlanReport report;
  report.experts = experts;
  report.smallest_budget_bytes = model.weights.floor_bytes();
  auto plan = model.Plan();
  if (!plan.ok()) return plan.status();
  report.plan = std::move(*plan);
  if (machine) {
    const auto prediction = PredictionOf(model, ToMachineProfile(*machine), prompt_tokens, experts);
    if (!prediction.ok()) return prediction.status();
    report.prediction = *prediction;
  }
  report.model = std::move(model);
  report.machine = machine;
  report.prompt_tokens = prompt_tokens;
  report.context_tokens = context_tokens;
  return report;
}

std::string RenderPlanText(const PlanReport& report) {
  using Align = TextTable::Align;
  const ModelSetup& model = report.model;
  const ModelWeights& weights = model.weights;
  std::string text = fmt::format(
      "{}: {}{}, {} parameters, {}, {} of weights\n", model.path,
      model.catalogue.architecture.empty() ? "unknown architecture" : model.catalogue.architecture,
      model.catalogue.name.empty() ? "" : " \"" + model.catalogue.name + "\"", Parameters(model.catalogue.parameters()),
      model.catalogue.dominant_type(), FormatSize(model.catalogue.weight_bytes()));
  text += DescribeDecision(model.memory, model.limits) + "\n";
  if (const std::string devices = DescribeDevices(model); !devices.empty()) text += devices + "\n";
  if (const std::string width = DescribePromptWidth(model, model.prompt_width); !width.empty()) text += width + "\n";
  if (const std::string unknown = DescribeUnknownTypes(model.catalogue); !unknown.empty()) text += unknown + "\n";
  text += "\n";
  if (HasDevices(report)) text += RenderDevices(report) + "\n";
  if (model.memory.engine) text += RenderProcess(report) + "\n";
  TextTable memory({Align::kLeft, Align::kRight, Align::kRight, Align::kLeft});
  const auto row = [&](const char* name, uint64_t bytes, const std::string& share, const std::string& note) {
    memory.AddRow({name, FormatSize(bytes), share, note});
  };
  const uint64_t cached = std::min(report.plan.expert_cache_bytes, weights.expert_bytes);
  row("resident", report.plan.resident_bytes, Percent(report.plan.resident_bytes, weights.managed_bytes),
      "kept in memory");
  row("streamed", report.plan.streamed_bytes, Percent(report.plan.streamed_bytes, weights.managed_bytes),
      "read once per pass");
  if (weights.expert_bytes > 0 && model.streams()) {
    row("experts", weights.expert_bytes, "",
        fmt::format("of these {} for each token", FormatSize(weights.active_expert_bytes)));
    row("expert cache", cached, Percent(cached, weights.expert_bytes), "for those in use");
  }
  if (weights.uses_head) {
    row("draft head", weights.head_bytes, "",
        fmt::format("in the model's own file; {} stay resident for its tokens", FormatSize(weights.head_kept_bytes)));
  } else if (weights.head_bytes > 0) {
    row("draft head", weights.head_bytes, "", "in the model's own file; not used");
  }
  if (model.streams()) {
    if (RowBytes(report) > 0) row("rows", RowBytes(report), "", "of tables that are looked up, embeddings among them");
    row("ring", report.plan.ring_bytes, "", "what is read ahead of the computation");
    row("scratch", report.plan.scratch_bytes, "", "for one repacked piece");
  }
  if (weights.other_bytes > 0)
    row("mapped", weights.other_bytes, "", "embeddings, norms: left to the engine and the page cache");
  text += memory.Render() + "\n";

  TextTable facts({Align::kLeft, Align::kLeft, Align::kLeft});
  if (report.smallest_budget_bytes > 0)
    facts.AddRow({"smallest budget", FormatSize(report.smallest_budget_bytes),
                  fmt::format("3 reads of {} rows of {} ({} each) and one repacked copy", kRowGroup, weights.widest,
                              FormatSize(weights.widest_group_bytes))});
  if (report.machine) {
    const Prediction& prediction = report.prediction;
    const double disk = report.machine->disk_bytes_per_s;
    facts.AddRow({"disk", fmt::format("{:.2f} GB/s", disk / 1e9),
                  report.machine->direct ? "O_DIRECT" : "through the page cache: O_DIRECT is refused"});
    for (const DriveSpeed& drive : report.drives) {
      facts.AddRow({"", fmt::format("{:.2f} GB/s", drive.bytes_per_s / 1e9),
                    drive.share >= 1 ? drive.path : fmt::format("{} ({:.0f} % of it)", drive.path, 100 * drive.share)});
    }
    facts.AddRow({"decode",
                  prediction.decode_tokens_per_s > 0 ? fmt::format("{:.2f} tokens/s", prediction.decode_tokens_per_s)
                                                     : "unknown",
                  DecodeNote(report) != nullptr ? DecodeNote(report)
                  : prediction.disk_bound
                      ? fmt::format("the disk's limit: {:.2f} GB/s / {} per pass", disk / 1e9,
                                    FormatSize(report.plan.streamed_bytes))
                      : fmt::format("the memory's limit: {:.1f} GB/s", report.machine->memory_bytes_per_s / 1e9)});
    facts.AddRow({"prompt",
                  KnowsPrompt(report) ? fmt::format("{:.1f} tokens/s", prediction.prompt_tokens_per_s) : "unknown",
                  KnowsPrompt(report)       ? fmt::format("of {} tokens{}", report.prompt_tokens,
                                                    HasDevices(report) ? ", at most: the disk's part of it" : "")
                  : model.memory.loads_only ? "all layers are computed on devices; `headrace bench` measures it"
                                            : "until `headrace bench` has measured this machine"});
    facts.AddRow({"first token",
                  fmt::format("{}{:.2f} s", KnowsPrompt(report) ? "" : "at least ", prediction.first_token_s),
                  fmt::format("for a prompt of {} tokens, with nothing in memory yet", report.prompt_tokens)});
  } else {
    facts.AddRow({"disk", "unknown", "it could not be measured; see `headrace doctor`"});
  }
  text += facts.Render();
  return report.speculation ? text + "\n" + RenderSpeculationText(*report.speculation) : text;
}

nlohmann::json SetupJson(const ModelSetup& model) {
  Json json;
  json["model"] = {{"path", model.path},
                   {"architecture", model.catalogue.architecture},
                   {"name", model.catalogue.name},
                   {"type", model.catalogue.dominant_type()},
                   {"unknown_types", model.catalogue.unknown_types()},
                   {"parameters", model.catalogue.parameters()},
                   {"files", model.catalogue.files.size()},
                   {"weight_bytes", model.catalogue.weight_bytes()},
                   {"managed_bytes", model.weights.managed_bytes},
                   {"expert_bytes", model.weights.expert_bytes},
                   {"active_expert_bytes", model.weights.active_expert_bytes},
                   {"mapped_bytes", model.weights.other_bytes}};
  const ModelWeights& weights = model.weights;
  const uint64_t head_blocks = HeadBlocks(model.catalogue);
  json["draft_head"] = nullptr;
  if (head_blocks > 0) {
    json["draft_head"] = {
        {"blocks", head_blocks},
        {"weight_bytes", weights.head_bytes},
        {"used", weights.uses_head},
        {"kept_bytes", weights.head_kept_bytes},
        {"rest_bytes",
         weights.uses_head && model.memory.engine ? Json(model.memory.engine->draft_rest_bytes) : Json()}};
  }
  json["flash_mode"] = ToString(model.config.flash_mode);
  json["streams"] = model.streams();
  const MemoryBudget& memory = model.memory;
  const auto part = [&](uint64_t EngineMemory::*bytes) {
    return memory.engine ? Json((*memory.engine).*bytes) : Json();
  };
  json["decision"] = DescribeDecision(memory, model.limits);
  json["budget_bytes"] = memory.weights_budget_bytes;
  json["memory"] = {
      {"limit_bytes", model.limits.process_bytes > 0 ? Json(model.limits.process_bytes) : Json()},
      {"limit_origin", model.limits.process_bytes > 0 ? model.limits.process_origin : model.limits.weights_origin},
      {"weight_bytes", memory.weight_bytes},
      {"weights_budget_bytes", memory.weights_budget_bytes},
      {"context_bytes", part(&EngineMemory::context_bytes)},
      {"context_file_bytes", part(&EngineMemory::context_file_bytes)},
      {"compute_bytes", part(&EngineMemory::compute_bytes)},
      {"engine_bytes", part(&EngineMemory::engine_bytes)},
      {"projector_bytes", part(&EngineMemory::projector_bytes)},
      {"prompt_cache_bytes", part(&EngineMemory::prompt_cache_bytes)},
      {"adapter_bytes", part(&EngineMemory::adapter_bytes)},
      {"checkpoint_bytes", part(&EngineMemory::checkpoint_bytes)},
      {"streaming_bytes", memory.streams ? kStreamingBytes : 0},
      {"peak_bytes", memory.engine ? Json(memory.peak_bytes()) : Json()},
      {"least_bytes", memory.engine ? Json(memory.least_bytes) : Json()},
      {"everything_bytes", memory.engine ? Json(memory.everything_bytes + memory.device_weight_bytes) : Json()}};
  json["memory"]["device_weight_bytes"] = memory.device_weight_bytes;
  json["devices"] = Json::array();
  for (size_t i = 0; i < model.devices.size(); ++i) {
    const Device& device = model.devices[i];
    Json entry = {
        {"name", device.name},
        {"description", device.description},
        {"total_bytes", device.total_bytes},
        {"free_bytes", device.free_bytes},
        {"room_bytes", i < model.device_choice.room_bytes.size() ? Json(model.device_choice.room_bytes[i]) : Json()},
        {"weight_bytes", nullptr},
        {"context_bytes", nullptr},
        {"compute_bytes", nullptr}};
    for (const DeviceMemory& used : memory.engine ? memory.engine->devices : std::vector<DeviceMemory>()) {
      if (used.name != device.name) continue;
      entry["weight_bytes"] = used.weight_bytes;
      entry["context_bytes"] = used.context_bytes;
      entry["compute_bytes"] = used.compute_bytes;
    }
    json["devices"].push_back(std::move(entry));
  }
  const VramLimit& vram = model.vram;
  const DeviceChoice& choice = model.device_choice;
  json["vram"] = {{"mode", vram.mode == VramLimit::Mode::kAuto  ? "auto"
                           : vram.mode == VramLimit::Mode::kOff ? "off"
                                                                : "size"},
                  {"limit_bytes", vram.named() ? Json(vram.bytes) : Json()},
                  {"limit_origin", vram.origin},
                  {"expert_cache_bytes", choice.expert_cache_bytes},
                  {"free_bytes", choice.free_bytes > 0 ? Json(choice.free_bytes) : Json()},
                  {"least_bytes", choice.least_bytes > 0 ? Json(choice.least_bytes) : Json()}};
  json["devices_decision"] = DescribeDevices(model);
  json["smallest_budget_bytes"] = model.weights.floor_bytes();
  json["smallest_budget_weight"] = model.weights.widest;
  return json;
}

nlohmann::json PlanJson(const PlanReport& report) {
  const Prediction& prediction = report.prediction;
  Json json = SetupJson(report.model);
  json["plan"] = {{"resident_bytes", report.plan.resident_bytes},
                  {"streamed_bytes_per_pass", report.plan.streamed_bytes},
                  {"expert_cache_bytes", std::min(report.plan.expert_cache_bytes, report.model.weights.expert_bytes)},
                  {"row_bytes", RowBytes(report)},
                  {"disk_bytes", DiskBytes(report)},
                  {"ring_bytes", report.plan.ring_bytes},
                  {"scratch_bytes", report.plan.scratch_bytes}};
  json["machine"] = nullptr;
  if (report.machine) {
    json["machine"] = {{"disk_bytes_per_s", report.machine->disk_bytes_per_s},
                       {"disk_direct", report.machine->direct},
                       {"memory_bytes_per_s", NumberOrNull(report.machine->memory_bytes_per_s)},
                       {"prompt_flops_per_s", NumberOrNull(report.machine->prompt_flops_per_s)}};
    Json& drives = json["machine"]["drives"] = Json::array();
    for (const DriveSpeed& drive : report.drives)
      drives.push_back({{"path", drive.path},
                        {"bytes_per_s", drive.bytes_per_s},
                        {"share", drive.share},
                        {"shares_disk", drive.shared_disk}});
  }
  json["prediction"] = {
      {"decode_tokens_per_s", NumberOrNull(prediction.decode_tokens_per_s)},
      {"decode_tokens_per_s_range",
       {NumberOrNull(prediction.decode_low_tokens_per_s), NumberOrNull(prediction.decode_high_tokens_per_s)}},
      {"disk_bound", prediction.disk_bound},
      {"prompt_tokens", report.prompt_tokens},
      {"prompt_tokens_per_s", KnowsPrompt(report) ? NumberOrNull(prediction.prompt_tokens_per_s) : Json()},
      {"first_token_s", NumberOrNull(prediction.first_token_s)}};
  if (report.speculation) json["speculation"] = SpeculationJson(*report.speculation);
  return json;
}

std::string RenderPlanJson(const PlanReport& report) {
  return PlanJson(report).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace headrace::cli
