// Which of the models that there are a name means. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "models/model_files.h"

namespace headrace {

struct NameRules {
  const char* what = "model";                    // that there is none of
  const char* list = "headrace list shows all";  // the end of that message
};

// The model of this id, else of another of its names, else of its plain file name; without one capitals make no
// difference. "hf:" before the name, ".gguf" and ":latest" behind it make none. "OWNER/NAME:QUANTIZATION", as the hub
// and Ollama write names, means the file NAME-QUANTIZATION too, in a folder of that owner if it is in any. A name is
// only ever compared with those of `models`: none can reach out of a folder. Errors: kNotFound, which names the nearest
// ones; kInvalidArgument where several have the name, with what they are called.
Result<ModelFile> FindByName(const std::vector<ModelFile>& models, const std::string& name,
                             const NameRules& rules = {});

// A name without ":latest" (in any letters) at its end, which Ollama's programs put there.
std::string WithoutLatest(const std::string& name);

}  // namespace headrace
