// How many of a mixture's experts a pass needs, and how many of these are not in memory. Tokens that share a pass share
// experts: a layer's popular ones are popular with all tokens of a text, and neighbouring tokens choose more of the
// same ones than that. Pure.
//
// docs/experts-policy.md ("Several tokens in a pass") compares it with what a trained mixture chose.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace headrace {

// Choices for each expert of a layer from which on a wide pass needs nearly all: 98 % of them if they were chosen
// equally often.
inline constexpr int64_t kCoveringChoices = 4;

// The tokens of a pass: `texts` that have nothing to do with each other, each with as many.
struct PassTokens {
  double tokens = 1;
  double texts = 1;
};

// What the choices of a model's routers are like, mean of its layers.
struct ExpertHabits {
  static constexpr size_t kParts = 16;
  using Popularity = std::array<double, kParts>;

  // The share of the choices of one text that falls on each sixteenth of a layer's experts, the most popular first.
  // Together 1. Here as in bench/traces.
  Popularity popularity = {.2735, .1373, .1013, .0827, .0699, .06,   .052,  .0449,
                           .0388, .0335, .0287, .024,  .0199, .0158, .0115, .0062};
  // The share of a token's choices that the token before it chose, too.
  double again = 0.25;
  // How much of the popularity is other texts', too. 0: each has its own, as in bench/traces; 1: it was seen over many.
  double lasting = 0;
  bool learned = false;  // of this model; else of another one

  // The popularity of a layer's experts whose uses were counted, in any order and unit; all 0 where there are none.
  static Popularity PopularityOf(std::span<const double> uses);
};

class ExpertDemand {
 public:
  ExpertDemand() = default;  // of a model without experts
  // `bytes` of all experts, and of those that one token uses.
  ExpertDemand(uint64_t bytes, uint64_t token_bytes, const ExpertHabits& habits = {});

  double bytes() const { return bytes_; }
  double token_bytes() const { return token_bytes_; }

  // Of the experts that the tokens choose together.
  double Bytes(const PassTokens& pass) const { return AbsentBytes(pass, 0); }
  // Of those the ones that are not in memory, when the most popular experts have `cached` bytes there. What texts that
  // share a pass prefer is not the same, but for what lasts, so the more texts there are, the less a cache serves.
  double AbsentBytes(const PassTokens& pass, double cached) const;

 private:
  double bytes_ = 0, token_bytes_ = 0;
  ExpertHabits::Popularity chosen_{};  // by one token, of each expert of a part: a chance
  double lasting_ = 0;
  double kept_ = 0;  // of a token's choices: taken over from the token before, beyond what popularity explains
};

}  // namespace headrace
