// The file of the experts' popularity, as it is and with a right beginning and a right sum over the input.
#include "experts/heat_file.h"

#include "base/hash.h"
#include "fuzz.h"

using namespace headrace;

namespace {

void Try(std::string_view text) {
  const auto table = ParseHeat(text);
  if (!table.ok()) return fuzz::RequireOneLine(table.status().message());
  for (const auto& layer : table->layers) {
    for (const double popularity : layer.popularity)
      fuzz::Require(popularity >= 0 && popularity <= 1, "a popularity is out of range");
  }
  fuzz::Require(ParseHeat(SerialiseHeat(*table)).ok(), "what was written cannot be read");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::Text(data, size);
  Try(text);
  std::string framed = "HRHEAT01" + std::string(text);
  const uint64_t sum = HashBytes(framed);
  framed.append(reinterpret_cast<const char*>(&sum), sizeof sum);
  Try(framed);
  return 0;
}
