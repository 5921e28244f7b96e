// What is decided about a model before anything of it is started: whether it streams, and with how much memory. Step by
// step: load_devices.h, load_memory.h, load_sharing.h, load_speculation.h; load_command.h makes a command of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "memory/available.h"
#include "models/model_library.h"
#include "serve/models/model_config.h"
#include "serve/models/model_defaults.h"
#include "serve/models/settings.h"
#include "serve/models/sharing.h"
#include "serve/models/simulations.h"
#include "setup/model_setup.h"
#include "setup/speculation.h"

namespace headrace::serve {

struct LoadPlan {
  ModelEntry entry;
  ModelConfig asked;       // as it was asked for
  ModelDefaults defaults;  // what a Modelfile adds
  cli::ModelSetup setup;   // its memory by part, and whether it streams: expected, and checked once it runs
  Status placed;        // what was asked for devices cannot be had: none is there, more than is free, less than works
  Status enough;        // kOutOfBudget with the arithmetic when the memory is too little; or `placed`
  bool crowds = false;  // it would have more than what other models leave, because it was told to
  Config config;        // of the library
  uint64_t granted_bytes = 0;  // memory that its process may come to hold
  uint64_t context = 0;        // tokens of one request
  Sharing sharing;             // of its passes, when it streams
  uint64_t checkpoints = 0;    // of each slot's context, where nobody says how many
  std::string draft_path, projector_path;
  std::vector<FileStamp> stamps;                // of all files that shape what it computes
  std::string draft_type;                       // of CheckDraft
  std::optional<cli::Speculation> speculation;  // none for a model that generates no text
  bool uses_head = false;                       // the model drafts with its own head
  bool drafts = false;  // tokens are proposed before passes, by our choice or the user's options
  bool embedding = false;
  uint64_t input_tokens = 0;                      // of an embedding or a reranking at most; 0: none are served
  std::vector<cli::EngineOption> device_options;  // what goes on devices
  cli::EngineArguments workers;                   // options of the engine for those that it may use
  std::vector<std::string> notes;                 // what its user should know once it is loaded

  // Streaming was asked for: a load without it has failed.
  bool must_stream() const { return setup.streams(); }
  // Nobody asked for them.
  bool chose_drafts() const {
    if (!drafts || asked.draft_model || asked.speculate == "on") return false;
    return speculation->kind == cli::SpeculationKind::kNgram || speculation->kind == cli::SpeculationKind::kHead;
  }
  const cli::MemoryBudget& memory() const { return setup.memory; }
};

// What a model that is loaded now could have.
struct MemoryRoom {
  AvailableMemory available;                       // beyond what other models hold and were granted
  uint64_t granted_bytes = 0;                      // to other models
  std::vector<cli::Device> devices;                // of the engine, with what is free there for it
  cli::EngineArguments workers;                    // options of the engine for those that there are
  std::vector<cli::DeviceMemory> granted_devices;  // what other models have there
};

// Reads headers, lets the engine simulate its allocations, and measures the disk where it is not known yet (a second).
// Too little memory, also of devices, is no error here: `enough` says it. Errors: those of PrepareModel; kNotFound for
// a draft or projector that does not exist; those of FindModelfile, CheckDraft and ChooseSpeculation.
Result<LoadPlan> PlanLoad(const Settings& settings, ModelLibrary& library, Simulations& simulations,
                          const ModelEntry& entry, const ModelConfig& config, const MemoryRoom& room);

}  // namespace headrace::serve
