// Draft heads: some models carry, in their own file and behind their layers, a block that drafts the tokens after the
// next one from the hidden state that the layers leave (multi-token prediction, NextN). llama.cpp uses it with
// --spec-type draft-mtp, in a second context of the same model.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/arguments.h"
#include "engine/engine_locator.h"
#include "engine/engine_probe.h"
#include "gguf/catalogue.h"
#include "models/modelfile.h"

namespace headrace::cli {

inline constexpr const char* kHeadType = "draft-mtp";  // of --spec-type

// Blocks of a model's head; 0 where it has none, or the file only says so: some files are made without them.
uint64_t HeadBlocks(const Catalogue& catalogue);
// Whether a tensor lies in these blocks.
bool IsOfHead(const Catalogue& catalogue, const TensorEntry& tensor);
// The head multiplies with an output matrix of its own, not with the model's.
bool HeadHasOutput(const Catalogue& catalogue);

// Whether these arguments of an engine's program let a model draft with its own head.
bool DraftsWithHead(const EngineArguments& arguments);
// What makes it do so; `tokens` of each draft, 0: the engine's own number.
std::vector<EngineOption> HeadOptions(uint64_t tokens);
EngineArguments HeadArguments();

// Whether the engine can compute this model's head; "" or why not, for people. `known` are the options of the program
// that will run.
std::string WhyNoHead(const Catalogue& catalogue, const Engine& engine, const OptionNames& known);

// Whether the content of llama.cpp's library names a graph for the heads of an architecture. Pure.
bool NamesHeadGraph(std::string_view library, std::string_view architecture);

// Bytes of the keys and values of one token in the head's context, whose cache has halves where nothing else is said.
// Pure.
uint64_t HeadTokenBytes(const Catalogue& catalogue);

}  // namespace headrace::cli
