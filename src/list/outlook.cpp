#include "list/outlook.h"

#include "base/text_file.h"
#include "serve/models/estimate.h"

namespace headrace::list {
namespace {

constexpr uint64_t kPromptTokens = 512;

Verdict VerdictOf(const Json& estimate) {
  const std::string verdict = TextOf(estimate, "verdict");
  return verdict == "fits" ? Verdict::kFits : verdict == "streams" ? Verdict::kStreams : Verdict::kTooSmall;
}

}  // namespace

const char* ToString(Verdict verdict) {
  switch (verdict) {
    case Verdict::kFits:
      return "fits";
    case Verdict::kStreams:
      return "streams";
    case Verdict::kTooSmall:
      return "too small";
    case Verdict::kDamaged:
      return "damaged";
    case Verdict::kUnknown:
      return "unknown";
  }
  return "";
}

Foreseer::Foreseer(const serve::Settings& settings, ModelLibrary& library) : settings_(settings), library_(library) {
  room_.available = FindAvailableMemory(ReadTextFile, ReadAddressLimits());
  if (!settings.engine.program.empty()) room_.devices = cli::FindDevices(settings.engine.engine, settings.rest);
}

Outlook Foreseer::Foresee(const ModelEntry& entry) {
  if (!entry.error.empty()) return {Verdict::kDamaged, 0, entry.error};
  // For one request at a time, without drafts: nothing is tried out.
  serve::ModelConfig alone;
  alone.slots = 1;
  alone.speculate = "off";
  auto plan = serve::PlanLoad(settings_, library_, simulations_, entry, alone, room_);
  if (!plan.ok()) return {Verdict::kUnknown, 0, plan.status().message()};
  const auto estimate = serve::EstimateJson(settings_, {std::move(*plan), {}}, kPromptTokens);
  if (!estimate.ok()) return {Verdict::kUnknown, 0, estimate.status().message()};
  Outlook outlook{VerdictOf(*estimate), 0, ""};
  if (outlook.verdict == Verdict::kTooSmall) outlook.reason = TextOf(*estimate, "reason");
  const Json* prediction = FindMember(*estimate, "prediction");
  if (prediction != nullptr && entry.kind == ModelKind::kText)
    outlook.tokens_per_s = NumberOf(*prediction, "decode_tokens_per_s");
  return outlook;
}

}  // namespace headrace::list
