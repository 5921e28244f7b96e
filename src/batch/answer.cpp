#include "batch/answer.h"

#include "cli/json.h"

namespace headrace::batch {
namespace {

cli::Json Member(const cli::Json& object, const char* key) { return object.is_object() ? object.value(key, cli::Json()) : cli::Json(); }

}  // namespace

Usage UsageOf(const std::string& body) {
  Usage usage;
  const cli::Json json = cli::JsonOrNull(body);
  const cli::Json counts = Member(json, "usage");
  usage.work = {cli::CountOf(counts, "prompt_tokens"), cli::CountOf(counts, "completion_tokens")};
  for (const cli::Json& choice : Member(json, "choices")) usage.ended_by_length |= Member(choice, "finish_reason") == "length";
  return usage;
}

Work UnderWay(const std::string& slots) {
  Work work;
  const cli::Json json = cli::JsonOrNull(slots);
  if (!json.is_array()) return work;
  for (const cli::Json& slot : json) {
    if (Member(slot, "is_processing") != true) continue;
    work.prompt_tokens += cli::CountOf(slot, "n_prompt_tokens_processed");
    for (const cli::Json& next : Member(slot, "next_token")) work.answer_tokens += cli::CountOf(next, "n_decoded");
  }
  return work;
}

}  // namespace headrace::batch
