// Which of a model's weights a program of the engine puts on devices, by its options. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/arguments.h"
#include "gguf/catalogue.h"
#include "plan/placement.h"

namespace headrace::cli {

// What a tensor is to the options that place weights.
WeightPart PartOf(const TensorEntry& tensor);
// A model without output.weight multiplies with its token embedding: where the output is on a device that has a copy of
// it.
bool HasTiedOutput(const Catalogue& catalogue);

// Options that say which weights go to devices, or that let the engine decide it: whoever gives one of them decides.
// Which devices there are (-dev, but for none), and how they share layers, does not.
bool PlacesWeights(const EngineArguments& arguments);
// --fit on: the engine decides when it loads.
bool LetsEnginePlace(const EngineArguments& arguments);
// Of `devices` (names), those that -dev leaves.
bool MayUse(const EngineArguments& arguments, const std::string& device);

// Whether a tensor is on a device for a program with these arguments where there are devices: as -ngl, -cmoe, -ncmoe,
// -ncffn, -ot and -dev none say. Without any of them the engine puts all layers there.
using OnDeviceTest = std::function<bool(const TensorEntry&)>;
OnDeviceTest OnDeviceBy(const EngineArguments& arguments, const Catalogue& catalogue);

// For ChoosePlacement; all but the context.
PlacementModel PlacementModelOf(const Catalogue& catalogue);

}  // namespace headrace::cli
