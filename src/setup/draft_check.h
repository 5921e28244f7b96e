// Whether a model can draft for another one, from both headers and before anything is started.
#pragma once

#include <string>

#include "base/status.h"
#include "setup/model_setup.h"

namespace headrace::cli {

struct Draft {
  std::string path;
  std::string architecture;  // general.architecture
  std::string type;          // of --spec-type: "draft-simple", or that of a head made for one model ("draft-eagle3")
  uint64_t weight_bytes = 0;
};

// Of a draft's type: a head that is made for one model. headrace has never tried one.
inline bool IsUntested(const std::string& type) { return type != "draft-simple"; }

// Errors, each naming both files: those of ReadCatalogue; kInvalidArgument for the same file, a model that writes no
// text, one that is not smaller, another vocabulary.
Result<Draft> CheckDraft(const ModelSetup& target, const std::string& path);

}  // namespace headrace::cli
