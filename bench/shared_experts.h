// How many experts tokens choose that share a pass: neighbours of one text, or of texts that have nothing to do with
// each other. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "experts/router_trace.h"

namespace headrace {

// A trace as what each layer chose for one token after the other.
struct TextChoices {
  std::vector<std::vector<std::vector<uint32_t>>> layers;

  static TextChoices Of(std::span<const RouterStep> trace);
  size_t tokens() const;  // that all layers have
};

// The mean of different experts of a layer for so many neighbouring tokens, over all such windows of the text that do
// not overlap. 0 where it is shorter.
double ExpertsOfNeighbours(const TextChoices& text, size_t tokens);

// The same for a token each from so many places: first of different texts, each as far from its beginning as the
// others, then, where there are more places than texts, of the same ones, equally far apart.
double ExpertsOfTexts(std::span<const TextChoices> texts, size_t places);

// The mean of a layer's experts that are not in memory when passes with so many neighbouring tokens of each text need
// them. In memory are the hottest of each layer (ExpertCache::kHalfLife), `share` of `experts`; the first third of the
// passes fills it and does not count.
double MissesTogether(std::span<const TextChoices> texts, size_t neighbours, uint64_t experts, double share);

}  // namespace headrace
