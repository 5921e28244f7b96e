// JSON that clients send: what names the model, how to load it, and a line of a batch.
#include <optional>

#include "batch/request.h"
#include "fuzz.h"
#include "serve/api/requested_model.h"
#include "serve/models/model_config.h"

using namespace headrace;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::Text(data, size);
  serve::Request request;
  request.method = "POST";
  request.path = "/v1/chat/completions";
  request.headers = {{"Content-Type", "application/json"}};
  request.body = text;
  if (const auto model = serve::RequestedModel(request); !model.ok()) fuzz::RequireOneLine(model.status().message());

  const batch::Request line = batch::ParseRequest(text);
  if (line.problem.empty()) {
    fuzz::Require(line.body.is_object(), "a sound request has no body");
    (void)batch::DemandOf(line);
    (void)batch::BodyFor(line, 16);
  }
  return 0;
}
