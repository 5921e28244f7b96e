// Which of the models that there are a name means. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "models/model_files.h"

namespace headrace {

// How a message goes on about the model that is not there.
struct NameWords {
  const char* what = "model";
  const char* list = "headrace list shows all";
};

// The model of this id, or of another of its names, or of its plain file name; capitals make a difference only where several have the name.
// "hf:" before the name and ".gguf" behind it make none. A name is only ever compared with those of `models`: none can reach out of a folder.
// Errors: kNotFound, which names the nearest ones; kInvalidArgument where several have the name, with what they are called.
Result<ModelFile> FindByName(const std::vector<ModelFile>& models, const std::string& name, const NameWords& words = {});

}  // namespace headrace
