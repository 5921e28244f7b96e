// What `headrace pull` was asked for. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "models/hub_client.h"

namespace headrace {

struct PullSource {
  std::string repository, quantization;  // of the hub; repository is "" for an address
  std::string url, file;                 // an address, and the name of the file there
};

// "hf:USER/NAME", "hf:USER/NAME:QUANTIZATION", "https://HOST/PATH/NAME.gguf". Error: kInvalidArgument.
Result<PullSource> ParsePullSource(const std::string& text);

// The addresses of all parts of a split model, of another one its own. With the file names.
std::vector<PullSource> PartsOf(const PullSource& address);

// A model of a repository that can be fetched: "hf:USER/NAME:QUANTIZATION".
struct HubModel {
  std::string source, quantization;  // "" where the files' names tell none
  uint64_t files = 0, bytes = 0;     // with the projector beside it
};
// All that ChooseFiles finds, the smallest first.
std::vector<HubModel> ModelsIn(const std::vector<HubFile>& models, const std::string& repository);

// What of a repository is fetched: the model as llama.cpp would choose it, all its parts, and the projector beside it.
// Errors: kNotFound, with what there is.
Result<std::vector<HubFile>> ChooseFiles(const std::vector<HubFile>& models, const PullSource& source, bool projector);

}  // namespace headrace
