// What `headrace serve` was asked for and found, fixed from its start on.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine_probe.h"
#include "models/places.h"
#include "serve/models/name_aliases.h"
#include "serve/models/waiting_line.h"
#include "setup/model_setup.h"
#include "setup/options.h"

namespace headrace::serve {

struct Settings {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;                 // 0: any that is free
  std::vector<std::string> keys;        // API keys; none: no key is asked for
  std::vector<std::string> fixed_keys;  // of these, those that are in no file
  std::string key_file;                 // of the others, "" for none
  std::string access_log;               // a file, "-" for standard output, "" for none
  bool log_json = false;                // its lines are JSON
  bool times_in_lines = false;          // lines on standard error begin with the time, once the server listens
  std::vector<std::string> origins;     // of pages that may ask, beside the server's own
  std::vector<std::string> hosts;       // names under which proxies reach the server
  std::string prefix;                   // of paths, as a proxy passes them on: "/llm"; "" for none
  std::vector<ModelPlace> places;       // of models; none: `model_file` is all that is served
  std::string model;                    // loaded at the start, and meant by requests that name none; "" for none
  std::string model_file;               // its file when that need not be in a place, else ""
  bool any_name = false;                // a name that no model has means `model`
  std::vector<NameAlias> aliases;       // of models that there were at the start
  std::chrono::seconds ttl{0};          // a model without requests for so long is unloaded; 0: never
  size_t models_max = 1;                // loaded at a time
  uint64_t body_bytes = 64 << 20;       // largest request
  WaitLimits waiting;                   // of requests for their turn
  // Tokens of an answer whose request names no limit, where requests share a KV cache; 0: no limit, none: half a
  // context.
  std::optional<uint64_t> answer_tokens;
  // Running answers are broken off when their model's memory was waited for so long; 0: never.
  std::chrono::seconds evict_after{300};
  std::string prompt_folder;                  // where prompts outlive a model's process, "" nowhere
  uint64_t prompt_bytes = uint64_t{2} << 30;  // there at most
  std::string config_path;                    // of remembered configurations, "" remembers nothing

  cli::FlashOptions flash;   // for models without a configuration of their own
  uint64_t total_bytes = 0;  // for all models together (--ram), 0: what is available
  std::string total_origin;  // "--ram"
  std::string workers;       // --workers
  cli::EngineSetup engine;
  std::string engine_version;
  cli::OptionNames known;     // llama-server's options
  bool no_modelfile = false;  // a Modelfile beside a model is left out
  cli::EngineArguments rest;  // further arguments for each llama-server
};

}  // namespace headrace::serve
