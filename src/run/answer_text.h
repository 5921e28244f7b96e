// What is said about one answer while its prompt is read, and after it. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace headrace::run {

// A prompt that is being read, at one moment.
struct PromptState {
  uint64_t tokens = 0;            // of the prompt, 0: not known yet
  uint64_t read = 0;              // of those
  double read_after_s = 0;        // from the beginning until so many were read
  double first_read_after_s = 0;  // until the first of them were: that pass brings the resident weights in
  uint64_t first_read = 0;        // how many those were
  double elapsed_s = 0;
  double predicted_s = 0;  // for all of it, 0: unknown
};

// "reading the prompt: 512 of 2048 tokens, 12 s left"; "" when nothing is known. The time is the prediction until
// passes have shown it, and left out when neither is known or it is over.
std::string PromptText(const PromptState& state);

struct AnswerCounts {
  uint64_t tokens = 0;  // generated
  double seconds = 0;
  uint64_t drafted = 0, accepted = 0;
};

// "64 tokens in 24 passes: 5.20 tokens/s; 40 of 60 drafted tokens were accepted".
std::string CountsText(const AnswerCounts& counts);

}  // namespace headrace::run
