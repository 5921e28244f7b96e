// A model for tests of what is decided about one, without its file.
#pragma once

#include <optional>
#include <string>

#include "base/size.h"
#include "setup/model_setup.h"

namespace headrace::cli {

// 64 MiB of weights, eight matrices; `budget` bytes for them (--weights-ram).
inline ModelSetup TestModel(uint64_t budget, FlashMode mode = FlashMode::kAuto,
                            const std::optional<EngineMemory>& engine = std::nullopt) {
  ModelSetup setup;
  setup.path = "m.gguf";
  setup.catalogue.architecture = "llama";
  for (int i = 0; i < 8; ++i) {
    TensorEntry tensor;
    tensor.name = "blk." + std::to_string(i) + ".ffn_up.weight";
    tensor.type = 1;  // F16
    tensor.shape = {1024, 4096, 1, 1};
    tensor.bytes = 8 * kMiB;
    tensor.layer = i;
    setup.catalogue.tensors.push_back(tensor);
  }
  setup.weights = SelectWeights(setup.catalogue);
  setup.config.flash_mode = mode;
  setup.limits = {mode, 0, budget, "", "--weights-ram"};
  setup.memory = DivideMemory(setup.limits, setup.weights, setup.catalogue.weight_bytes(), engine);
  return setup;
}

}  // namespace headrace::cli
