#include "serve/remedies.h"

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

std::string ShortageText(const cli::Shortage& shortage) {
  std::string text = shortage.arithmetic;
  const Json list = RemediesJson(shortage.remedies);
  for (size_t i = 0; i < list.size(); ++i) text += (i == 0 ? "; this would work: " : ", or ") + list[i].dump();
  return text;
}

}  // namespace headrace::serve
