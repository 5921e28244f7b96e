// Which Modelfile counts for a run, and what it asks of this model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "gguf/catalogue.h"
#include "models/modelfile.h"
#include "setup/options.h"

namespace headrace::cli {

struct ModelfileUse {
  std::string model;    // path of the GGUF file
  std::string path;     // of the Modelfile, "" when none counts
  std::string adapter;  // path of the LoRA adapter, "" for none
  std::string
      left_out;  // a line for the user: why one beside the model does not count; "" for none, and for another model's
  Modelfile file;
};

// The error of a command that was given neither a model nor a Modelfile.
std::string NoModelText(const char* command);

// `model` as given on the command line, "" when absent: then FROM names it, relative to the Modelfile. `modelfile` as
// given, or "": then the file "Modelfile" beside the model counts if `look_beside` and its FROM, if it has one, is this
// model. Errors: those of the parser; kInvalidArgument and kNotFound for a FROM that is no file, no model at all.
Result<ModelfileUse> FindModelfile(const std::string& model, const std::string& modelfile, bool look_beside);

// `options` with what FLASH, FLASH_RAM_GB and FLASH_VRAM_GB say and they do not. Pure.
FlashOptions WithFlash(FlashOptions options, const Modelfile& file);

// The engine's options for all that the Modelfile asks for. Error: kInvalidArgument when FLASH_TOP_K has no meaning for
// this model.
Result<std::vector<EngineOption>> EngineOptionsOf(const ModelfileUse& use, const Catalogue& catalogue);

// Lines for the user: what is used, what is left out, what changes the output.
std::vector<std::string> DescribeModelfile(const ModelfileUse& use, const Catalogue& catalogue);

}  // namespace headrace::cli
