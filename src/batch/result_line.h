// One line of a batch's results, as OpenAI writes them. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "batch/request_file.h"

namespace headrace::batch {

// {"id", "custom_id", "response": {"status_code", "request_id", "body"}, "error": null} with a line break; `body` as
// the engine sent it.
std::string ResponseLine(const RequestEntry& entry, int status, const std::string& body);
// The same with "response": null and "error": {"code", "message"}.
std::string ErrorLine(const RequestEntry& entry, std::string_view code, std::string_view message);

// What a line of an earlier run is the result of.
struct ResultKey {
  std::string id;
  std::string custom_id;  // "" for null
  bool failed = false;    // an error, or a response with one
};
// Error: kCorrupt when it is no result of a batch.
Result<ResultKey> ParseResult(std::string_view line);

}  // namespace headrace::batch
