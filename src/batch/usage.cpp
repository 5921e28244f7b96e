#include "batch/usage.h"

#include "base/json.h"

namespace headrace::batch {
namespace {

headrace::Json Member(const headrace::Json& object, const char* key) {
  return object.is_object() ? object.value(key, headrace::Json()) : headrace::Json();
}

}  // namespace

Usage UsageOf(const std::string& body) {
  Usage usage;
  const headrace::Json json = JsonOrNull(body);
  const headrace::Json counts = Member(json, "usage");
  usage.work = {CountOf(counts, "prompt_tokens"), CountOf(counts, "completion_tokens")};
  for (const headrace::Json& choice : Member(json, "choices"))
    usage.ended_by_length |= Member(choice, "finish_reason") == "length";
  return usage;
}

Work UnderWay(const std::string& slots) {
  Work work;
  const headrace::Json json = JsonOrNull(slots);
  if (!json.is_array()) return work;
  for (const headrace::Json& slot : json) {
    if (Member(slot, "is_processing") != true) continue;
    work.prompt_tokens += CountOf(slot, "n_prompt_tokens_processed");
    for (const headrace::Json& next : Member(slot, "next_token")) work.answer_tokens += CountOf(next, "n_decoded");
  }
  return work;
}

}  // namespace headrace::batch
