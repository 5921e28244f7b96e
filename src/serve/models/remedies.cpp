#include "serve/models/remedies.h"

#include "base/size.h"

namespace headrace::serve {
namespace {

// Rounded up to a MiB.
double InGb(uint64_t bytes) { return static_cast<double>(AlignUp(bytes, kMiB)) / static_cast<double>(kGiB); }

}  // namespace

Json RemediesJson(const cli::Remedies& remedies) {
  Json list = Json::array();
  if (remedies.context_tokens > 0) list.push_back({{"context_length", remedies.context_tokens}});
  if (remedies.quantized_cache) list.push_back({{"kv_cache_type", "q8_0"}});
  if (remedies.no_draft) list.push_back({{"draft_model", ""}});
  if (remedies.weights_bytes > 0) list.push_back({{"flash_ram_gb", InGb(remedies.weights_bytes)}});
  if (remedies.process_bytes > 0) list.push_back({{"ram_gb", InGb(remedies.process_bytes)}});
  return list;
}

Json VramRemediesJson(const cli::ModelSetup& setup) {
  Json list = Json::array();
  const cli::DeviceChoice& choice = setup.device_choice;
  // A MiB for what is lost where a size is divided.
  const uint64_t least = choice.least_bytes == 0 ? 0 : choice.least_bytes + kMiB;
  if (least > setup.vram.bytes && least <= choice.free_bytes) list.push_back({{"vram_gb", InGb(least)}});
  list.push_back({{"vram_gb", "auto"}});
  if (choice.free_bytes > 0) list.push_back({{"vram_gb", "off"}});
  return list;
}

std::string RemediesText(const Json& remedies) {
  std::string text;
  for (size_t i = 0; i < remedies.size(); ++i) text += (i == 0 ? "; this would work: " : ", or ") + remedies[i].dump();
  return text;
}

std::string ShortageText(const cli::Shortage& shortage) {
  return shortage.arithmetic + RemediesText(RemediesJson(shortage.remedies));
}

}  // namespace headrace::serve
