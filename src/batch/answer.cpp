#include "batch/answer.h"

#include "batch/request.h"

namespace headrace::batch {
namespace {

Json Member(const Json& object, const char* key) { return object.is_object() ? object.value(key, Json()) : Json(); }

uint64_t Number(const Json& object, const char* key) {
  const Json number = Member(object, key);
  return number.is_number_unsigned() ? number.get<uint64_t>() : 0;
}

}  // namespace

Usage UsageOf(const std::string& body) {
  Usage usage;
  const Json json = Json::parse(body, nullptr, false);
  const Json counts = Member(json, "usage");
  usage.work = {Number(counts, "prompt_tokens"), Number(counts, "completion_tokens")};
  for (const Json& choice : Member(json, "choices")) usage.ended_by_length |= Member(choice, "finish_reason") == "length";
  return usage;
}

Work UnderWay(const std::string& slots) {
  Work work;
  const Json json = Json::parse(slots, nullptr, false);
  if (!json.is_array()) return work;
  for (const Json& slot : json) {
    if (Member(slot, "is_processing") != true) continue;
    work.prompt_tokens += Number(slot, "n_prompt_tokens_processed");
    for (const Json& next : Member(slot, "next_token")) work.answer_tokens += Number(next, "n_decoded");
  }
  return work;
}

}  // namespace headrace::batch
