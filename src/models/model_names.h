// Which of the models that there are a name means. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "models/model_files.h"

namespace headrace {

struct NameRules {
  const char* what = "model";                       // that there is none of
  const char* list = "headrace list shows all";     // the end of that message
  bool any_case = true;                             // without a match capitals make no difference
};

// The model of this id, else of another of its names, else of its plain file name.
// "hf:" before the name and ".gguf" behind it make none. A name is only ever compared with those of `models`: none can reach out of a folder.
// Errors: kNotFound, which names the nearest ones; kInvalidArgument where several have the name, with what they are called.
Result<ModelFile> FindByName(const std::vector<ModelFile>& models, const std::string& name, const NameRules& rules = {});

}  // namespace headrace
