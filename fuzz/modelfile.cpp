#include "models/modelfile.h"

#include "fuzz.h"

using namespace headrace;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto modelfile = cli::ParseModelfile(fuzz::Text(data, size), "Modelfile");
  if (!modelfile.ok()) {
    fuzz::RequireOneLine(modelfile.status().message());
    return 0;
  }
  for (const std::string& warning : modelfile->warnings) fuzz::RequireOneLine(warning);
  return 0;
}
