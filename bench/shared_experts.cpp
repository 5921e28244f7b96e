#include "shared_experts.h"

#include <algorithm>
#include <set>

#include "experts/expert_heat.h"
#include "experts/heat_mixture.h"

namespace headrace {

TextChoices TextChoices::Of(std::span<const RouterStep> trace) {
  TextChoices text;
  for (const RouterStep& step : trace) {
    if (step.layer >= text.layers.size()) text.layers.resize(step.layer + 1);
    text.layers[step.layer].push_back(step.experts);
  }
  return text;
}

size_t TextChoices::tokens() const {
  size_t tokens = layers.empty() ? 0 : SIZE_MAX;
  for (const auto& layer : layers) tokens = std::min(tokens, layer.size());
  return tokens;
}

double ExpertsOfNeighbours(const TextChoices& text, size_t tokens) {
  uint64_t experts = 0, windows = 0;
  for (const auto& layer : text.layers) {
    for (size_t begin = 0; tokens > 0 && begin + tokens <= text.tokens(); begin += tokens) {
      std::set<uint32_t> chosen;
      for (size_t i = begin; i < begin + tokens; ++i) chosen.insert(layer[i].begin(), layer[i].end());
      experts += chosen.size();
      ++windows;
    }
  }
  return windows == 0 ? 0 : static_cast<double>(experts) / static_cast<double>(windows);
}

double ExpertsOfTexts(std::span<const TextChoices> texts, size_t places) {
  if (texts.empty() || places == 0) return 0;
  size_t tokens = SIZE_MAX, layers = SIZE_MAX;
  for (const TextChoices& text : texts) {
    tokens = std::min(tokens, text.tokens());
    layers = std::min(layers, text.layers.size());
  }
  const size_t rounds = (places + texts.size() - 1) / texts.size(), part = tokens / rounds;
  uint64_t experts = 0, passes = 0;
  for (size_t layer = 0; layer < layers; ++layer) {
    for (size_t at = 0; at < part; ++at) {
      std::set<uint32_t> chosen;
      for (size_t place = 0; place < places; ++place) {
        // Another text first in each pass.
        const auto& choices = texts[(place + at) % texts.size()].layers[layer][place / texts.size() * part + at];
        chosen.insert(choices.begin(), choices.end());
      }
      experts += chosen.size();
      ++passes;
    }
  }
  return passes == 0 ? 0 : static_cast<double>(experts) / static_cast<double>(passes);
}

double MissesTogether(std::span<const TextChoices> texts, size_t neighbours, uint64_t experts, double share) {
  if (texts.empty() || neighbours == 0) return 0;
  size_t tokens = SIZE_MAX, layers = SIZE_MAX;
  for (const TextChoices& text : texts) {
    tokens = std::min(tokens, text.tokens());
    layers = std::min(layers, text.layers.size());
  }
  const size_t passes = tokens / neighbours, slots = static_cast<size_t>(share * static_cast<double>(experts));
  uint64_t missed = 0, counted = 0;
  for (size_t layer = 0; layer < layers; ++layer) {
    ExpertHeat heat(experts, HeatMixture::kHalfLives[1]);  // the middle one of the cache's memories
    std::set<uint32_t> held;
    for (size_t pass = 0; pass < passes; ++pass) {
      std::set<uint32_t> chosen;
      heat.Age(static_cast<double>(neighbours * texts.size()));
      for (const TextChoices& text : texts) {
        for (size_t at = pass * neighbours; at < (pass + 1) * neighbours; ++at) {
          for (const uint32_t expert : text.layers[layer][at]) {
            heat.Touch(expert, 1);
            chosen.insert(expert);
          }
        }
      }
      const bool counts = pass >= passes / 3;
      counted += counts;
      for (const uint32_t expert : chosen) {
        if (held.contains(expert)) continue;
        missed += counts;
        if (held.size() >= slots) {
          auto coldest = held.end();
          for (auto it = held.begin(); it != held.end(); ++it) {
            if (!chosen.contains(*it) && (coldest == held.end() || heat[*it] < heat[*coldest])) coldest = it;
          }
          if (coldest == held.end()) continue;
          held.erase(coldest);
        }
        held.insert(expert);
      }
    }
  }
  return counted == 0 ? 0 : static_cast<double>(missed) / static_cast<double>(counted);
}

}  // namespace headrace
