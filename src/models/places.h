// Where models lie on this machine: folders that people name, and those where other programs keep what they download.
// Pure but for looking at what is there.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"

namespace headrace {

struct ModelPlace {
  std::string folder;   // absolute or not
  bool ollama = false;  // its files have no names of their own: manifests give them
};

// Hugging Face's cache, of HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, HOME; "" without any.
std::string HubFolder(const Getenv& getenv);
// llama.cpp's own, of LLAMA_CACHE, XDG_CACHE_HOME, HOME; "" without any.
std::string LlamaCacheFolder(const Getenv& getenv);

// The folders in HEADRACE_MODELS_DIR (a colon between two), then those of Hugging Face, llama.cpp, LM Studio and
// Ollama, as far as they are there.
std::vector<ModelPlace> MachinePlaces(const Getenv& getenv);

// `folders` as places.
std::vector<ModelPlace> PlacesOf(const std::vector<std::string>& folders);

}  // namespace headrace
