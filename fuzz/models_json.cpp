// models.json, which users may edit: found, changed, and found again as it was changed.
#include "fuzz.h"
#include "serve/models/config_store.h"

using namespace headrace;
using namespace headrace::serve;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ConfigStore store(fuzz::WriteFile("models.json", fuzz::Text(data, size)));
  for (const char* model : {"/models/a.gguf", "/models/b.gguf"}) {
    const auto config = store.Find(model);
    if (!config.ok()) {
      fuzz::RequireOneLine(config.status().message());
      continue;
    }
    ModelConfig changed = *config;
    changed.context_length = 4096;
    if (!store.Remember(model, changed).ok()) continue;
    const auto again = store.Find(model);
    fuzz::Require(again.ok() && *again == changed, "what was remembered is not found again");
  }
  return 0;
}
